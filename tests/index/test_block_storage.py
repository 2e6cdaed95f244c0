"""Blocks on disk and their check; `test_storage` has what they share with lists."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sparcode.index.block_index import BLOCK_ARRAYS, BlockIndex, block_index
from sparcode.index.index_builder import build_index
from sparcode.index.storage import load_index, save_index
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel

SCORE_TYPES = ["float32", "uint16"]
# 21 items in blocks of 8: the last block is a short one.
MODEL = TableModel(np.random.default_rng(0).normal(size=(6, 21)))


def some_blocks(score_type: str = "float32", threshold: float = 0.1, codes: tuple[int, ...] = (5, 0, 3), per_list: int = 0) -> BlockIndex:
    return block_index(build_index(MODEL, np.array(codes, dtype=np.int64), -1.0, 2), threshold, score_type, per_list, shift=3)


@pytest.fixture(params=SCORE_TYPES)
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    save_index(some_blocks(request.param), tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("score_type", SCORE_TYPES)
@pytest.mark.parametrize("options", [{}, {"threshold": 99.0}, {"codes": ()}, {"per_list": 2}])
def test_blocks_come_back_as_they_went(tmp_path: Path, score_type: str, options: dict, mmap: bool) -> None:
    index = some_blocks(score_type, **options)
    save_index(index, tmp_path / "index")
    loaded = load_index(tmp_path / "index", mmap)
    assert isinstance(loaded, BlockIndex)
    assert [getattr(loaded, name) for name in ("n_items", "floor", "shift", "per_list")] == [21, index.floor, 3, index.per_list]
    for name in BLOCK_ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(index, name))
        assert getattr(loaded, name).dtype == getattr(index, name).dtype


@pytest.mark.parametrize("score_type", SCORE_TYPES)
def test_mapped_blocks_serve_and_are_not_copied(tmp_path: Path, score_type: str) -> None:
    save_index(some_blocks(score_type), tmp_path / "index")
    loaded = load_index(tmp_path / "index", mmap=True)
    assert not loaded.scores.flags.owndata
    assert not loaded.segments.flags.owndata
    codes, weights = np.array([[0, 5, 5]]), np.ones((1, 3))
    expected = SparseRetriever(MODEL, some_blocks(score_type), 0.3).retrieve_codes(codes, weights, None, 9)
    found = SparseRetriever(MODEL, loaded, 0.3).retrieve_codes(codes, weights, None, 9)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_blocks_and_lists_replace_each_other(folder: Path) -> None:
    lists = build_index(MODEL, np.array([1, 2]), 0.0, 2)
    save_index(lists, folder)
    np.testing.assert_array_equal(load_index(folder).scores, lists.scores)
    assert sorted(os.listdir(folder)) == ["codes.npy", "index.json", "indptr.npy", "item_ids.npy", "scores.npy"]
    save_index(some_blocks(), folder)
    assert isinstance(load_index(folder), BlockIndex)
    assert sorted(os.listdir(folder)) == sorted(["index.json", *(f"{name}.npy" for name in BLOCK_ARRAYS)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pages"}, "kind must be lists or blocks; got 'pages'"),
        ({"kind": ["blocks"]}, "kind must be lists or blocks"),
        ({"kind": "lists"}, "arrays must give codes"),
        ({"shift": 0}, r"shift must lie in \[1, 16\]; got 0"),
        ({"shift": 17}, r"shift must lie in \[1, 16\]; got 17"),
        ({"shift": 4}, "segments.npy holds shape"),
        ({"shift": None}, "shift must be a whole number"),
        ({"per_list": -1}, "per_list must be a whole number"),
        ({"per_list": 1}, "no list must be longer than per_list 1"),
        ({"floor": 1e300}, "floor must be below every score, and exact in float32"),
        ({"floor": 50.0}, "floor must be below every score"),
        ({"n_lists": 2}, "codes.npy holds shape"),
        ({"n_postings": 1.5}, "n_postings must be a whole number"),
        ({"n_items": 18}, "must have item ids below 18"),
        ({"n_items": 2**40}, "segments.npy holds shape"),
        ({"scores": "float64"}, "scores must be float32 or uint16; got float64"),
        ({"scores": ["uint16"]}, "scores must be float32 or uint16"),
        ({"floor": None}, "floor must be a finite number; got -inf"),
    ],
)
def test_a_description_that_does_not_hold_is_refused(folder: Path, changes: dict, message: str) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message) as caught:
        load_index(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", BLOCK_ARRAYS)
@pytest.mark.parametrize("damage", ["missing", "empty", "cut short", "of another type", "of another shape", "big-endian"])
def test_a_damaged_array_is_named(folder: Path, name: str, damage: str) -> None:
    path = folder / f"{name}.npy"
    array = np.load(path)
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut short":
            path.write_bytes(path.read_bytes()[:-2])
        case "of another type":
            np.save(path, array.astype(np.float64))
        case "of another shape":
            np.save(path, array[:-1])
        case "big-endian":
            np.save(path, array.astype(array.dtype.newbyteorder(">")))
    for mmap in (False, True):
        with pytest.raises(ValueError, match=name):
            load_index(folder, mmap)


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
