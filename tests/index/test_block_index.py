"""Blocks are checked: arrays that do not fit, and postings that a search cannot rely on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcode.index.block_index import BlockIndex, block_index
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from tests.fakes import TableModel

SCORE_TYPES = ["float32", "uint16"]
# 21 items in blocks of 8: the last block is a short one.
MODEL = TableModel(np.random.default_rng(0).normal(size=(6, 21)))


def some_lists(floor: float = 0.1, codes: tuple[int, ...] = (5, 0, 3)) -> InvertedIndex:
    return build_index(MODEL, np.array(codes, dtype=np.int64), floor, 2)


def some_blocks(score_type: str = "float32", threshold: float = 0.1, codes: tuple[int, ...] = (5, 0, 3), per_list: int = 0) -> BlockIndex:
    return block_index(some_lists(-1.0, codes), threshold, score_type, per_list, shift=3)


def changed(index: BlockIndex, name: str, position: int | tuple[int, ...], value: float) -> BlockIndex:
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
    ],
)
def test_what_a_search_cannot_rely_on_is_refused(
    score_type: str, name: str, position: int | tuple[int, ...], value: float, message: str
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shift": 0}, "shift must lie in"),
        ({"shift": 4}, "segments must have shape"),
        ({"floor": np.nan}, "floor must be a finite number"),
        ({"per_list": -1}, "per_list must not be negative"),
        ({"n_items": -1}, "n_items must lie in"),
        ({"codes": np.array([3, 0, 5])}, "ascend without repeats"),
        ({"indptr": np.array([0, 9, 5, 30])}, "indptr must run from 0"),
        ({"scores": np.zeros(3)}, "scores must be float32 or uint16; got float64"),
    ],
)
def test_arrays_that_do_not_fit_make_no_index(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(some_blocks(), **change)
