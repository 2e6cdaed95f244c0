from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sparcode.space.plane_store import PlaneStore

PLANE = np.arange(8, dtype=np.float32).reshape(4, 2)
KEYS = [f"{number:08x}" for number in range(5)]


def test_a_layout_comes_back_in_another_process_too(tmp_path: Path) -> None:
    PlaneStore(tmp_path / "planes").put(KEYS[0], PLANE)
    np.testing.assert_array_equal(PlaneStore(tmp_path / "planes").get(KEYS[0], 4), PLANE)
    assert PlaneStore(tmp_path / "planes").get(KEYS[1], 4) is None


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_as_if_it_were_not_there(tmp_path: Path, content: bytes) -> None:
    store = PlaneStore(tmp_path)
    (tmp_path / f"{KEYS[0]}.npy").write_bytes(content)
    assert store.get(KEYS[0], 4) is None
    store.put(KEYS[0], PLANE)
    assert store.get(KEYS[0], 5) is None
    np.testing.assert_array_equal(store.get(KEYS[0], 4), PLANE)


def test_nothing_is_unpickled_and_infinite_places_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / f"{KEYS[0]}.npy", np.array([object()] * 8).reshape(4, 2), allow_pickle=True)
    np.save(tmp_path / f"{KEYS[1]}.npy", np.full((4, 2), np.inf, np.float32))
    assert PlaneStore(tmp_path).get(KEYS[0], 4) is None
    assert PlaneStore(tmp_path).get(KEYS[1], 4) is None


def test_the_least_recently_used_layout_goes_first(tmp_path: Path) -> None:
    store = PlaneStore(tmp_path, most=3)
    for age, key in enumerate(KEYS[:3]):
        store.put(key, PLANE)
        os.utime(tmp_path / f"{key}.npy", ns=(age + 1, age + 1))
    assert store.get(KEYS[0], 4) is not None
    store.put(KEYS[3], PLANE)
    kept = sorted(path.stem for path in tmp_path.glob("*.npy"))
    assert kept == [KEYS[0], KEYS[2], KEYS[3]]
    assert not list(tmp_path.glob(".new*"))


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = PlaneStore(tmp_path / "file" / "planes")
    store.put(KEYS[0], PLANE)
    assert store.get(KEYS[0], 4) is None


@pytest.mark.parametrize("key", ["", "../escape", "ABCDEF00", "1234567"])
def test_a_key_is_no_path(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        PlaneStore(tmp_path).get(key, 4)
