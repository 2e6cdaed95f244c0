from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.data.interactions import offsets
from sparcode.index import build_kernels, index_builder
from sparcode.index.index_builder import add_lists, build_index, codes_at_a_time, row_ranges
from sparcode.index.inverted_index import ARRAY_DTYPES, BuildStopped, InvertedIndex
from tests.fakes import TableModel, tied_table

FLOORS = st.sampled_from([-np.inf, -5.0, -1.0, -0.25, 0.0, 0.5, 9.0])


def reference(table: np.ndarray, codes: list[int], floor: float) -> InvertedIndex:
    """The whole table at once: one sort per code."""
    codes = sorted(set(codes))
    lists = [items[np.lexsort((items, -table[code, items]))] for code in codes for items in [np.flatnonzero(table[code] > floor)]]
    scores = [table[code, items] + np.float32(0) for code, items in zip(codes, lists, strict=True)]  # no negative zeros
    item_ids = np.concatenate([[], *lists]).astype(np.int32)
    flat = np.concatenate([np.zeros(0, dtype=np.float32), *scores])
    return InvertedIndex(np.array(codes, dtype=np.int64), offsets([len(items) for items in lists]), item_ids, flat, table.shape[1], floor)


def assert_same(one: InvertedIndex, other: InvertedIndex) -> None:
    for name in ARRAY_DTYPES:
        # Bytes, so that zeros of different sign differ.
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert (one.n_items, one.floor) == (other.n_items, other.floor)


@given(
    seed=st.integers(0, 2**32 - 1),
    codes=st.lists(st.integers(0, 6), max_size=9),
    floor=FLOORS,
    block_codes=st.integers(1, 9),
    n_threads=st.integers(1, 3),
)
def test_it_equals_sorting_the_whole_table(seed: int, codes: list[int], floor: float, block_codes: int, n_threads: int) -> None:
    table = tied_table(seed)
    index = build_index(TableModel(table), np.array(codes, dtype=int), floor, block_codes, n_threads=n_threads)
    assert_same(index, reference(table, codes, floor))
    index.check_postings()


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("floor", [-np.inf, 0.0, 1.5, 99.0])
def test_threads_and_parts_change_nothing(monkeypatch: pytest.MonkeyPatch, n_threads: int, floor: float) -> None:
    monkeypatch.setattr(index_builder, "THREADS_ABOVE", 0)
    monkeypatch.setattr(index_builder, "SPLIT_ABOVE", 0)
    monkeypatch.setattr(index_builder, "BLOCK_PARTS", 4)
    table = tied_table(3, n_codes=61, n_items=203)
    model = TableModel(table)
    index = build_index(model, np.arange(61), floor, 12, n_threads=n_threads)
    assert_same(index, reference(table, list(range(61)), floor))
    assert {len(codes) for codes in model.scored} == {codes_at_a_time(203, 12), 1} == {3, 1}


def test_progress_is_told_in_order_and_a_stop_ends_the_build() -> None:
    told: list[tuple[int, int]] = []
    model = TableModel(tied_table(0))
    build_index(model, np.arange(7), 0.0, 2, on_progress=lambda *step: told.append(step))
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]
    told.clear()
    model.scored.clear()
    with pytest.raises(BuildStopped, match="after 4 of 7 codes"):
        build_index(model, np.arange(7), 0.0, 2, lambda: len(model.scored) == 2, lambda *step: told.append(step))
    assert told == [(2, 7)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor": np.nan}, "floor must be a number below"),
        ({"floor": np.inf}, "floor must be a number below"),
        ({"codes_in_use": [0.5]}, "codes must be integers; got dtype float64"),
        ({"codes_in_use": [-1]}, "not be negative; got -1"),
        ({"block_codes": 0}, "block_codes must be at least 1; got 0"),
        ({"n_threads": -2}, "n_threads must not be negative; got -2"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_scored(change: dict, message: str) -> None:
    settings = {"codes_in_use": [0, 1], "floor": 0.0, "block_codes": 2} | change
    with pytest.raises(ValueError, match=message):
        build_index(TableModel(tied_table(0)), **settings)


class WideModel:
    """Scores made on the spot, in one array and nothing beside it: a large catalogue without a table."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.row = np.random.default_rng(0).random(n_items, dtype=np.float32)

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        scores = np.empty((len(codes), self.n_items), dtype=np.float32)
        for row, code in enumerate(codes):
            shift = int(code) * 997 % self.n_items
            scores[row, shift:], scores[row, :shift] = self.row[: self.n_items - shift], self.row[self.n_items - shift :]
        return scores


@pytest.mark.parametrize("density", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_memory_stays_under_half_more_than_the_index_and_one_block(density: float, n_threads: int) -> None:
    build_kernels.warm_up()
    model, block_codes = WideModel(60_000), 32
    tracemalloc.start()
    try:
        index = build_index(model, np.arange(96), 1 - density - 1e-3, block_codes, n_threads=n_threads)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    index_bytes = sum(getattr(index, name).nbytes for name in ARRAY_DTYPES)
    assert index.kept_postings(index.floor) == pytest.approx(density * 96 * model.n_items, rel=0.1)
    assert peak < 1.5 * index_bytes + 4 * block_codes * model.n_items


@given(n_rows=st.integers(0, 50), n_ranges=st.integers(1, 9))
def test_ranges_make_up_all_rows(n_rows: int, n_ranges: int) -> None:
    ranges = row_ranges(n_rows, n_ranges)
    assert [row for first, last in ranges for row in range(first, last)] == list(range(n_rows))
    assert len(ranges) == min(n_rows, n_ranges)
    assert all(first < last for first, last in ranges)


def test_builds_use_the_code_compiled_by_the_warm_up() -> None:
    build_kernels.warm_up()
    table = tied_table(4)
    table.flags.writeable = False
    model = TableModel(table)
    model.score_codes = lambda codes: table[:3]  # read-only, where a model usually makes new arrays
    index = build_index(model, np.arange(3), 0.0, 3)
    add_lists(index, TableModel(table), [5], 1)
    for kernel in (build_kernels.count_above, build_kernels.write_keys, build_kernels.split_keys, build_kernels.copy_lists):
        assert len(kernel.signatures) == 1
