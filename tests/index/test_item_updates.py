from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.index import build_kernels
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex
from sparcode.index.item_updates import remove_items, rescore_items
from sparcode.index.score_table import code_scores
from tests.fakes import TableModel
from tests.tiny import tiny_index, tiny_model

FLOORS = st.sampled_from([-np.inf, -5.0, -1.0, -0.25, 0.0, 0.5, 9.0])
ITEMS = st.lists(st.integers(0, 10), max_size=8)
CODES = st.lists(st.integers(0, 6), max_size=7)


def tied_table(seed: int, n_items: int = 11) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.integers(-4, 5, size=(7, n_items)).astype(np.float32) / 2
    table[rng.random(table.shape) < 0.1] = -np.inf
    table[rng.random(table.shape) < 0.1] = -0.0
    return table


def assert_same(one: InvertedIndex, other: InvertedIndex) -> None:
    for name in ARRAY_DTYPES:
        # Bytes, so that zeros of different sign differ.
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert (one.n_items, one.floor) == (other.n_items, other.floor)


@given(seed=st.integers(0, 2**32 - 1), codes=CODES, items=ITEMS, floor=FLOORS)
def test_removing_equals_a_build_without_the_items(seed: int, codes: list[int], items: list[int], floor: float) -> None:
    table = tied_table(seed)
    index = build_index(TableModel(table), np.array(codes, dtype=int), floor, 3)
    removed = remove_items(index, np.array(items, dtype=int))
    table[:, items] = -np.inf
    assert_same(removed, build_index(TableModel(table), np.array(codes, dtype=int), floor, 3))


@given(seed=st.integers(0, 2**32 - 1), codes=CODES, items=ITEMS, n_new=st.integers(0, 4), floor=FLOORS, block_codes=st.integers(1, 9))
def test_rescoring_equals_a_rebuild(seed: int, codes: list[int], items: list[int], n_new: int, floor: float, block_codes: int) -> None:
    table, later = tied_table(seed), tied_table(seed + 1, 11 + n_new)
    same = np.setdiff1d(np.arange(11), items)
    later[:, same] = table[:, same]
    index = build_index(TableModel(table), np.array(codes, dtype=int), floor, 3)
    model = TableModel(later)
    updated = rescore_items(index, model, np.array(items, dtype=int), block_codes)
    assert_same(updated, build_index(TableModel(later), np.array(codes, dtype=int), floor, 3))
    updated.check_postings()


@given(seed=st.integers(0, 2**32 - 1), items=ITEMS)
def test_scoring_again_what_was_removed_gives_the_index_back(seed: int, items: list[int]) -> None:
    model = TableModel(tied_table(seed))
    index = build_index(model, np.arange(7), -0.5, 3)
    assert_same(rescore_items(remove_items(index, items), model, items), index)


def test_large_lists_are_merged_by_several_threads() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 50, size=(40, 3000)).astype(np.float32)
    index = build_index(TableModel(table), np.arange(40), 10, 64)
    items = rng.choice(3000, 400, replace=False)
    table[:, items] = rng.integers(0, 50, size=(40, 400))
    assert_same(rescore_items(index, TableModel(table), items, 7), build_index(TableModel(table), np.arange(40), 10, 64))


def test_only_the_items_are_scored_and_the_old_index_stays() -> None:
    class Asked(TableModel):
        def score_codes(self, codes: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
            asked.append(None if items is None else items.tolist())
            return super().score_codes(codes, items)

    asked: list[list[int] | None] = []
    table = tied_table(0)
    index = build_index(TableModel(table), np.arange(7), 0.0, 3)
    before = {name: getattr(index, name).copy() for name in ARRAY_DTYPES}
    rescore_items(index, Asked(tied_table(1, 13)), [4, 2, 4], block_codes=5)
    assert asked == [[2, 4, 11, 12]] * 2  # new items come along
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(index, name), array)


def test_nothing_to_do_gives_the_index_itself() -> None:
    model = TableModel(tied_table(0))
    index = build_index(model, np.arange(7), 0.0, 3)
    assert remove_items(index, []) is index
    assert rescore_items(index, model, []) is index


def test_a_trained_network_gives_what_a_rebuild_gives() -> None:
    model, index = tiny_model(), tiny_index()
    items = np.array([3, 79, 40, 41])
    updated = rescore_items(remove_items(index, items), model, items)
    np.testing.assert_array_equal(updated.indptr, index.indptr)
    np.testing.assert_allclose(updated.scores, index.scores, rtol=1e-5)
    codes = index.codes[:3]
    np.testing.assert_allclose(code_scores(model, codes, items), code_scores(model, codes)[:, items], rtol=1e-5)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([11], r"item_ids must lie in \[0, 11\); got 11"),
        ([3, -1], r"item_ids must lie in \[0, 11\); got -1"),
        ([0.5], "item_ids must be integers; got dtype float64"),
    ],
)
def test_bad_items_are_refused(items: list, message: str) -> None:
    model = TableModel(tied_table(0))
    index = build_index(model, np.arange(7), 0.0, 3)
    with pytest.raises(ValueError, match=message):
        remove_items(index, items)
    with pytest.raises(ValueError, match=message):
        rescore_items(index, model, items)


def test_a_model_that_does_not_fit_is_refused() -> None:
    index = build_index(TableModel(tied_table(0)), np.arange(7), 0.0, 3)
    with pytest.raises(ValueError, match="at least the index's 11 items; it has 10"):
        rescore_items(index, TableModel(tied_table(0, 10)), [1])
    with pytest.raises(ValueError, match="block_codes must be at least 1; got 0"):
        rescore_items(index, TableModel(tied_table(0)), [1], block_codes=0)
    bad = tied_table(0)
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match="NaN or"):
        rescore_items(index, TableModel(bad), [1])
    model = TableModel(tied_table(0))
    model.score_codes = lambda codes, items: model.table[codes]
    with pytest.raises(ValueError, match=r"\(7, 2\) scores for 7 codes; got \(7, 11\)"):
        rescore_items(index, model, [1, 2])


def test_updates_use_the_code_compiled_by_the_warm_up() -> None:
    build_kernels.warm_up()
    model = TableModel(tied_table(0))
    index = build_index(model, np.arange(7), 0.0, 3)
    rescore_items(remove_items(index, [1]), model, np.array([1, 2], dtype=np.int32))
    for kernel in (build_kernels.count_kept, build_kernels.merge_lists):
        assert len(kernel.signatures) == 1
