"""Indexes on disk, lists and blocks: what is written comes back, and what is damaged is refused and named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sparcode.index.block_index import BLOCK_ARRAYS, BlockIndex
from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex
from sparcode.index.storage import load_index, save_index
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import fill_disk_at_the_move
from tests.index.test_block_index import MODEL, SCORE_TYPES, some_blocks, some_lists
from tests.retrieval.tables import assert_same

ARRAYS = {"lists": tuple(ARRAY_DTYPES), **dict.fromkeys(SCORE_TYPES, BLOCK_ARRAYS)}
ONLY_LISTS = pytest.mark.parametrize("kind", ["lists"])
BLOCK_OPTIONS = [{}, {"threshold": 99.0}, {"codes": ()}, {"per_list": 2}]


def some_index(kind: str) -> InvertedIndex | BlockIndex:
    return some_lists() if kind == "lists" else some_blocks(kind)


@pytest.fixture(params=ARRAYS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path: Path, kind: str) -> Path:
    save_index(some_index(kind), tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    "index",
    [
        *(some_lists(), some_lists(-np.inf), some_lists(99.0), some_lists(0.0, ())),
        *(some_blocks(score_type, **options) for score_type in SCORE_TYPES for options in BLOCK_OPTIONS),
    ],
)
def test_an_index_comes_back_as_it_went(tmp_path: Path, index: InvertedIndex | BlockIndex, mmap: bool) -> None:
    save_index(index, tmp_path / "deep" / "index")
    loaded = load_index(str(tmp_path / "deep" / "index"), mmap)
    assert type(loaded) is type(index)
    for name, value in vars(index).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)
        assert np.asarray(getattr(loaded, name)).dtype == np.asarray(value).dtype


def test_a_mapped_index_serves_and_is_not_copied(folder: Path, kind: str) -> None:
    loaded = load_index(folder, mmap=True)
    assert not any(getattr(loaded, name).flags.owndata for name in ARRAYS[kind])
    codes, weights = np.array([[0, 5, 5]]), np.ones((1, 3))
    found, expected = (SparseRetriever(MODEL, index, 0.3).retrieve_codes(codes, weights, None, 9) for index in (loaded, some_index(kind)))
    assert_same(found, expected)


def test_saving_again_replaces_an_index_of_any_kind_and_leaves_nothing_behind(folder: Path) -> None:
    save_index(some_lists(1.0), folder)
    assert load_index(folder).floor == 1.0
    assert sorted(os.listdir(folder)) == ["codes.npy", "index.json", "indptr.npy", "item_ids.npy", "scores.npy"]
    save_index(some_blocks(), folder)
    assert isinstance(load_index(folder), BlockIndex)
    assert sorted(os.listdir(folder)) == sorted(["index.json", *(f"{name}.npy" for name in BLOCK_ARRAYS)])
    assert os.listdir(folder.parent) == ["index"]


@ONLY_LISTS
def test_a_failed_save_leaves_the_old_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk_at_the_move(monkeypatch)
    with pytest.raises(OSError, match="disk full"):
        save_index(some_lists(1.0), folder)
    assert load_index(folder).floor == some_lists().floor
    assert os.listdir(folder.parent) == ["index"]


@ONLY_LISTS
def test_an_index_that_a_killed_save_had_moved_aside_comes_back(folder: Path) -> None:
    hidden = folder.parent / ".index.saving-12345678"
    hidden.mkdir()
    os.replace(folder, hidden / "old")
    assert load_index(folder).floor == some_lists().floor
    (hidden / "new").mkdir(parents=True)
    save_index(some_lists(1.0), folder)
    assert os.listdir(folder.parent) == ["index"]


def test_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("months of work")
    for target in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ValueError, match="exists and is no index"):
            save_index(some_lists(), target)
    assert (tmp_path / "thesis.txt").read_text() == "months of work"


LISTS_DESCRIPTIONS = [
    ({"format": "faiss"}, "format must be 'sparcode-index'"),
    ({"version": 2}, "version 2; this program reads version 1"),
    ({"n_items": "9"}, "n_items must be a whole number"),
    ({"n_items": True}, "n_items must be a whole number"),
    ({"n_items": 3}, r"item_ids must lie in \[0, 3\)"),
    ({"floor": "low"}, "floor must be a finite number"),
    ({"floor": float("nan")}, "floor must be a finite number"),
    ({"floor": 10**400}, "floor must be a finite number"),
    ({"floor": 50}, r"above the floor 50\.0"),
    ({"arrays": None}, "arrays must give codes"),
    ({"arrays": {"codes": {"dtype": "object", "length": 3}}}, "arrays must give codes the dtype 'int64'"),
]
BLOCKS_DESCRIPTIONS = [
    ({"kind": "pages"}, "kind must be lists or blocks; got 'pages'"),
    ({"kind": ["blocks"]}, "kind must be lists or blocks"),
    ({"version": 3}, "version 3; this program reads version 1 or 2"),
    ({"is_reordered": 1}, "is_reordered must be true or false; got 1"),
    ({"is_reordered": False}, "item_ids.npy holds shape"),
    ({"kind": "lists", "version": 1}, "arrays must give codes"),
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
    ({"n_items": 18}, "item_ids.npy holds shape"),
    ({"n_items": 2**40}, "segments.npy holds shape"),
    ({"scores": "float64"}, "scores must be float32 or uint16; got float64"),
    ({"scores": ["uint16"]}, "scores must be float32 or uint16"),
    ({"floor": None}, "floor must be a finite number; got -inf"),
]


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        *(("lists", *case) for case in LISTS_DESCRIPTIONS),
        *((score_type, *case) for score_type in SCORE_TYPES for case in BLOCKS_DESCRIPTIONS),
    ],
)
def test_a_description_that_does_not_hold_is_refused(folder: Path, changes: dict, message: str) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ValueError, match=message) as caught:
        load_index(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("kind", SCORE_TYPES)
def test_blocks_of_the_first_version_are_read(folder: Path, kind: str) -> None:
    index = some_blocks(kind, item_ids=np.zeros(0, dtype=np.int32))
    save_index(index, folder)
    path = folder / "index.json"
    description = {**json.loads(path.read_text()), "version": 1}
    del description["is_reordered"]
    path.write_text(json.dumps(description))
    (folder / "item_ids.npy").unlink()
    loaded = load_index(folder)
    for name in BLOCK_ARRAYS:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(index, name))


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100_000])
def test_a_broken_description_is_refused(folder: Path, text: str) -> None:
    (folder / "index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"index\.json"):
        load_index(folder)


def test_a_missing_description_is_named(folder: Path) -> None:
    (folder / "index.json").unlink()
    with pytest.raises(ValueError, match=r"index\.json cannot be read: No such file"):
        load_index(folder)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in ARRAYS.items() for name in names])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b""), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "is damaged"),
        (lambda path: np.save(path, np.load(path).astype(np.float64)), "holds shape"),
        (lambda path: np.save(path, np.load(path)[:-1]), "holds shape"),
        (lambda path: np.save(path, np.load(path)[..., None]), "holds shape"),
        (lambda path: np.save(path, np.load(path).astype(np.load(path).dtype.newbyteorder(">"))), "holds shape"),
    ],
)
def test_a_damaged_array_is_named(folder: Path, name: str, damage: Callable[[Path], object], message: str, mmap: bool) -> None:
    damage(folder / f"{name}.npy")
    with pytest.raises(ValueError, match=rf"{name}\.npy {message}"):
        load_index(folder, mmap)


@ONLY_LISTS
def test_nothing_is_unpickled(folder: Path) -> None:
    np.save(folder / "codes.npy", np.array([{}, {}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"codes\.npy holds shape \(3,\), dtype object"):
        load_index(folder)


@ONLY_LISTS
def test_an_archive_is_no_array(folder: Path) -> None:
    with (folder / "codes.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"codes\.npy is damaged: the magic string"):
        load_index(folder)


@ONLY_LISTS
@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")
@pytest.mark.parametrize("flip", [0x01, 0x08, 0x80])
@pytest.mark.parametrize("name", ARRAY_DTYPES)
def test_a_flipped_byte_of_a_header_is_noticed_or_changes_nothing(folder: Path, name: str, flip: int) -> None:
    path = folder / f"{name}.npy"
    good, expected = path.read_bytes(), getattr(some_lists(), name)
    for at in range(128):
        path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
        loaded, message = expected, f"{name}.npy"
        try:
            loaded = getattr(load_index(folder, mmap=at % 2 == 0), name)
        except ValueError as error:
            message = str(error)
        assert f"{name}.npy" in message
        np.testing.assert_array_equal(loaded, expected)


@ONLY_LISTS
@pytest.mark.parametrize("n_bytes", [-16, 16])
def test_data_beside_their_place_are_noticed(folder: Path, n_bytes: int) -> None:
    path = folder / "scores.npy"
    data = bytearray(path.read_bytes())
    data[8] += n_bytes  # length of the header, which ends in blanks
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"scores\.npy is damaged"):
        load_index(folder)


@ONLY_LISTS
def test_lists_out_of_order_are_refused(folder: Path) -> None:
    scores = np.load(folder / "scores.npy")
    np.save(folder / "scores.npy", scores[::-1])
    with pytest.raises(ValueError, match="holds no valid index: scores must descend"):
        load_index(folder)
