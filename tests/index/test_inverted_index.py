from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.index.index_builder import add_lists, build_index
from tests.fakes import TableModel, tied_table


def tied_model(seed: int, n_items: int = 11) -> TableModel:
    return TableModel(tied_table(seed, n_items=n_items))


@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([-1.0, -0.6, 0.0, 0.25, 1.0, 7.0]))
def test_a_threshold_is_a_prefix_of_every_list(seed: int, threshold: float) -> None:
    model = tied_model(seed)
    index = build_index(model, np.array([0, 2, 3, 6]), -1.0, 3)
    expected = (model.table[[0, 2, 3, 6]] > threshold).sum(axis=1)
    np.testing.assert_array_equal(index.list_lengths(threshold), expected)
    np.testing.assert_array_equal(index.threshold_ends(threshold), index.indptr[:-1] + expected)
    assert index.kept_postings(threshold) == expected.sum()
    assert index.density(threshold) == expected.sum() / 44
    higher = build_index(model, np.array([0, 2, 3, 6]), threshold, 3)
    assert index.size_bytes(threshold) == {name: getattr(higher, name).nbytes for name in ("codes", "indptr", "item_ids", "scores")}


def test_a_threshold_below_the_floor_names_both() -> None:
    index = build_index(tied_model(0), np.arange(3), 0.5, 3)
    with pytest.raises(ValueError, match=r"at least the index's floor 0\.5; got 0\.4"):
        index.threshold_ends(0.4)
    with pytest.raises(ValueError, match="threshold must be a number"):
        index.threshold_ends(np.nan)


def test_thresholds_are_compared_in_single_precision() -> None:
    index = build_index(TableModel(np.float32([[0.1, 0.2]])), np.array([0]), 0.1, 1)
    assert index.kept_postings(0.1) == 1  # float32(0.1) > 0.1 in double precision, but is not above itself
    assert index.kept_postings(index.floor) == 1


def test_rows_of_codes() -> None:
    index = build_index(tied_model(0), np.array([5, 1, 3]), 0.0, 2)
    assert index.rows_of(np.array([[1, 3], [5, 0], [6, 2]])).tolist() == [[0, 1], [2, -1], [-1, -1]]
    assert build_index(tied_model(0), [], 0.0, 2).rows_of(np.array([4, 0])).tolist() == [-1, -1]


def test_an_empty_index_has_no_density() -> None:
    index = build_index(tied_model(0), [], -np.inf, 2)
    assert (index.n_lists, index.density(0.0), index.kept_postings(0.0)) == (0, 0.0, 0)


@given(seed=st.integers(0, 2**32 - 1), first=st.sets(st.integers(0, 6)), more=st.sets(st.integers(0, 6)))
def test_adding_lists_equals_building_with_them(seed: int, first: set[int], more: set[int]) -> None:
    model = tied_model(seed)
    grown = add_lists(build_index(model, list(first), -0.5, 2), model, list(more), 2)
    whole = build_index(model, list(first | more), -0.5, 2)
    for name in ("codes", "indptr", "item_ids", "scores"):
        np.testing.assert_array_equal(getattr(grown, name), getattr(whole, name))


def test_adding_scores_only_what_is_missing() -> None:
    model = tied_model(0)
    index = build_index(model, [1, 2], 0.0, 2)
    model.scored.clear()
    assert add_lists(index, model, [2, 1], 2) is index
    assert model.scored == []
    add_lists(index, model, [2, 4], 2)
    assert [codes.tolist() for codes in model.scored] == [[4]]
    with pytest.raises(ValueError, match="11 items; the model has 12"):
        add_lists(index, tied_model(0, n_items=12), [4], 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": np.array([0, 0])}, "ascend without repeats"),
        ({"codes": np.array([-1, 0])}, "not be negative"),
        ({"codes": np.array([0])}, "indptr must have 2 entries"),
        ({"indptr": np.array([0, 3, 2])}, "indptr must run from 0"),
        ({"indptr": np.array([0, 5, 4])}, "indptr must not decrease"),
        ({"item_ids": np.array([0, 1, 2, 3])}, "item_ids must be a one-dimensional array of int32"),
        ({"scores": np.zeros((2, 2), dtype=np.float32)}, "scores must be a one-dimensional"),
        ({"n_items": -1}, "n_items must lie in"),
        ({"floor": np.nan}, "floor must be a number"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict, message: str) -> None:
    index = build_index(TableModel(np.float32([[1, 2], [3, 4]])), [0, 1], 0.0, 2)
    with pytest.raises(ValueError, match=message):
        replace(index, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_ids": np.int32([1, 1, 1, 0])}, r"an item must stand in a list once; posting 1 has 1 again"),
        ({"item_ids": np.int32([0, 1, 2, 0])}, r"item_ids must lie in \[0, 2\); posting 2 has 2"),
        ({"item_ids": np.int32([0, 1, -1, 0])}, "item_ids must lie in"),
        ({"scores": np.float32([2, 1, 4, -1])}, "above the floor"),
        ({"scores": np.float32([2, 1, np.nan, 1])}, "above the floor"),
        ({"scores": np.float32([2, 1, np.inf, 1])}, "above the floor"),
        ({"scores": np.float32([1, 2, 4, 3])}, "postings 0 and 1"),
        ({"scores": np.float32([2, 1, 3, 3])}, "postings 2 and 3"),
    ],
)
def test_postings_that_break_the_order_are_found(change: dict, message: str) -> None:
    index = build_index(TableModel(np.float32([[1, 2], [3, 4]])), [0, 1], 0.0, 2)
    index.check_postings()
    with pytest.raises(ValueError, match=message):
        replace(index, **change).check_postings()
