from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex
from sparcode.index.storage import load_index, save_index
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel

MODEL = TableModel(np.random.default_rng(0).normal(size=(6, 9)))


def an_index(floor: float = 0.1) -> InvertedIndex:
    return build_index(MODEL, np.array([5, 0, 3]), floor, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_index(an_index(), tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("index", [an_index(), an_index(-np.inf), an_index(99.0), build_index(MODEL, [], 0.0, 2)])
def test_an_index_comes_back_as_it_went(tmp_path: Path, index: InvertedIndex, mmap: bool) -> None:
    save_index(index, tmp_path / "deep" / "index")
    loaded = load_index(str(tmp_path / "deep" / "index"), mmap)
    assert (loaded.n_items, loaded.floor) == (index.n_items, index.floor)
    for name in ARRAY_DTYPES:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(index, name))
        assert getattr(loaded, name).dtype == getattr(index, name).dtype


def test_a_mapped_index_serves_and_is_not_copied(folder: Path) -> None:
    loaded = load_index(folder, mmap=True)
    assert not loaded.scores.flags.owndata
    codes, weights = np.array([[0, 5, 5]]), np.ones((1, 3))
    expected = SparseRetriever(MODEL, an_index(), 0.3).retrieve_codes(codes, weights, None, 4)
    found = SparseRetriever(MODEL, loaded, 0.3).retrieve_codes(codes, weights, None, 4)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_saving_again_replaces_the_index_and_leaves_nothing_behind(folder: Path) -> None:
    save_index(an_index(1.0), folder)
    assert load_index(folder).floor == 1.0
    assert os.listdir(folder.parent) == ["index"]
    assert sorted(os.listdir(folder)) == ["codes.npy", "index.json", "indptr.npy", "item_ids.npy", "scores.npy"]


def test_a_failed_save_leaves_the_old_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def fail_on_new(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError("disk full")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_on_new)
    with pytest.raises(OSError, match="disk full"):
        save_index(an_index(1.0), folder)
    assert load_index(folder).floor == an_index().floor
    assert os.listdir(folder.parent) == ["index"]


def test_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("months of work")
    for target in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ValueError, match="exists and is no index"):
            save_index(an_index(), target)
    assert (tmp_path / "thesis.txt").read_text() == "months of work"


def change_json(folder: Path, **changes: object) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
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
    ],
)
def test_a_description_that_does_not_hold_is_refused(folder: Path, changes: dict, message: str) -> None:
    change_json(folder, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load_index(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\xff", "[" * 100_000])
def test_a_broken_description_is_refused(folder: Path, text: str) -> None:
    (folder / "index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"index\.json"):
        load_index(folder)


@pytest.mark.parametrize("name", ["index.json", "indptr.npy"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"{name} cannot be read: No such file"):
        load_index(folder)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("n_bytes", [0, 40, -4])
def test_a_truncated_array_is_refused(folder: Path, n_bytes: int, mmap: bool) -> None:
    path = folder / "scores.npy"
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match=r"scores\.npy"):
        load_index(folder, mmap)


@pytest.mark.parametrize("array", [np.zeros(3, dtype=np.float64), np.zeros(2, dtype=np.int64), np.zeros((3, 1), dtype=np.int64)])
def test_an_array_of_another_kind_is_refused(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "codes.npy", array)
    with pytest.raises(ValueError, match=r"codes\.npy holds shape"):
        load_index(folder)


def test_nothing_is_unpickled(folder: Path) -> None:
    np.save(folder / "codes.npy", np.array([{}, {}, {}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"codes\.npy holds shape \(3,\), dtype object"):
        load_index(folder)


def test_an_archive_is_no_array(folder: Path) -> None:
    with (folder / "codes.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"codes\.npy is damaged: the magic string"):
        load_index(folder)


@pytest.mark.filterwarnings("ignore:Data type alias:DeprecationWarning")
@pytest.mark.parametrize("flip", [0x01, 0x08, 0x80])
@pytest.mark.parametrize("name", ARRAY_DTYPES)
def test_a_flipped_byte_of_a_header_is_noticed_or_changes_nothing(folder: Path, name: str, flip: int) -> None:
    path = folder / f"{name}.npy"
    good, expected = path.read_bytes(), getattr(an_index(), name)
    for at in range(128):
        path.write_bytes(good[:at] + bytes([good[at] ^ flip]) + good[at + 1 :])
        loaded, message = expected, f"{name}.npy"
        try:
            loaded = getattr(load_index(folder, mmap=at % 2 == 0), name)
        except ValueError as error:
            message = str(error)
        assert f"{name}.npy" in message
        np.testing.assert_array_equal(loaded, expected)


@pytest.mark.parametrize("n_bytes", [-16, 16])
def test_data_beside_their_place_are_noticed(folder: Path, n_bytes: int) -> None:
    path = folder / "scores.npy"
    data = bytearray(path.read_bytes())
    data[8] += n_bytes  # length of the header, which ends in blanks
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"scores\.npy is damaged"):
        load_index(folder)


def test_lists_out_of_order_are_refused(folder: Path) -> None:
    scores = np.load(folder / "scores.npy")
    np.save(folder / "scores.npy", scores[::-1])
    with pytest.raises(ValueError, match="holds no valid index: scores must descend"):
        load_index(folder)
