"""Blocks are checked: arrays that do not fit, and postings that a search cannot rely on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcode.index.block_index import MAX_SHIFT, BlockIndex, block_index
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from tests.fakes import TableModel

SCORE_TYPES = ["float32", "uint16"]
# 21 items in blocks of 8: the last block is a short one.
MODEL = TableModel(np.random.default_rng(0).normal(size=(6, 21)))


def some_lists(floor: float = 0.1, codes: tuple[int, ...] = (5, 0, 3)) -> InvertedIndex:
    return build_index(MODEL, np.array(codes, dtype=np.int64), floor, 2)


def some_blocks(
    score_type: str = "float32",
    threshold: float = 0.1,
    codes: tuple[int, ...] = (5, 0, 3),
    per_list: int = 0,
    item_ids: np.ndarray | None = None,
) -> BlockIndex:
    return block_index(some_lists(-1.0, codes), threshold, score_type, per_list, 3, item_ids)


def changed(index: BlockIndex, name: str, position: int | slice | tuple[int, ...], value: float) -> BlockIndex:
    array = getattr(index, name).copy()
    array[position] = value
    return replace(index, **{name: array})


@pytest.mark.parametrize("score_type", SCORE_TYPES)
@pytest.mark.parametrize(
    ("name", "position", "value", "message"),
    [
        ("segments", (0, 0), 1, "list 0 must have segments from 0 to its length"),
        ("segments", (1, -1), 2**31, "list 1 must have segments from 0 to its length"),
        ("segments", (2, 1), 2**32 - 1, "list 2 must have segments that do not decrease"),
        ("segments", (2, 2), 0, "list 2 must have segments that do not decrease"),
        ("offsets", 0, 8, "list 0 must have item ids below 21, each in its block of 8; got offset 8"),
        ("offsets", -1, 65535, "list 2 must have item ids below 21"),
        ("offsets", -1, 5, "list 2 must have item ids below 21"),
        ("tops", (0, 0), 0, "list 0 must have scores that descend in every block, from its top on"),
        ("scores", -1, 65535, "list 2 must have scores that descend in every block"),
        ("low", 1, np.inf, "low and step must be finite numbers"),
        ("step", 1, np.nan, "low and step must be finite numbers"),
        ("step", 1, -1.0, "step not negative"),
        ("step", 1, 3e38, "low must be 0 and step 1|must not lead beyond the numbers of float32"),
        ("item_ids", 0, -1, "item_ids must hold every item below 21 once"),
        ("item_ids", -1, 21, "item_ids must hold every item below 21 once"),
        ("item_ids", slice(2), 3, "item_ids must hold every item below 21 once"),
    ],
)
def test_what_a_search_cannot_rely_on_is_refused(
    score_type: str, name: str, position: int | slice | tuple[int, ...], value: float, message: str
) -> None:
    index = some_blocks(score_type)
    index.check_postings()
    assert index.segments[2, 1] > 0
    assert len(index.offsets) - index.indptr[2] > index.segments[2, -2]
    with pytest.raises(ValueError, match=message):
        changed(index, name, position, value).check_postings()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("name", "position"), [("scores", 0), ("scores", 1), ("scores", -1), ("tops", (0, 0)), ("tops", (2, 2))])
def test_scores_that_are_no_numbers_are_refused(name: str, position: int | tuple[int, int], value: float) -> None:
    with pytest.raises(ValueError, match="must have finite scores"):
        changed(some_blocks(), name, position, value).check_postings()


@pytest.mark.parametrize("item_ids", [None, np.zeros(0, dtype=np.int32), np.arange(21, dtype=np.int32)[::-1]])
@pytest.mark.parametrize("per_list", [0, 4])
def test_lists_come_back_from_any_order_of_the_items(item_ids: np.ndarray | None, per_list: int) -> None:
    index = some_lists()
    blocks = block_index(index, 0.1, per_list=per_list, shift=3, item_ids=item_ids)
    for number in range(index.n_lists):
        part = slice(index.indptr[number], index.threshold_ends(0.1, per_list)[number])
        np.testing.assert_array_equal(blocks.posting_list(number), (index.item_ids[part], index.scores[part]))


def test_the_largest_blocks_hold_items_in_their_own_order_and_take_no_bytes_for_it() -> None:
    assert len(block_index(some_lists(), 0.1, shift=MAX_SHIFT).item_ids) == 0
    assert sorted(block_index(some_lists(), 0.1, shift=MAX_SHIFT - 1).item_ids) == list(range(21))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shift": 0}, "shift must lie in"),
        ({"shift": 4}, "segments must have shape"),
        ({"floor": np.nan}, "floor must be a finite number"),
        ({"per_list": -1}, "per_list must not be negative"),
        ({"n_items": -1}, "n_items must lie in"),
        ({"item_ids": np.arange(20, dtype=np.int32)}, "item_ids must have shape"),
        ({"codes": np.array([3, 0, 5])}, "ascend without repeats"),
        ({"indptr": np.array([0, 9, 5, 30])}, "indptr must run from 0"),
        ({"scores": np.zeros(3)}, "scores must be float32 or uint16; got float64"),
    ],
)
def test_arrays_that_do_not_fit_make_no_index(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(some_blocks(), **change)
