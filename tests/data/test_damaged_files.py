"""Whatever a file holds, a loader reads it or raises a ValueError."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scripts.soak.inputs import damaged_file, formats, soak
from sparcode.config import SplitConfig
from sparcode.data.deezer import SONGS, read_deezer
from sparcode.data.fixed_split import read_fixed_split
from sparcode.data.limits import UPLOADS
from sparcode.data.loading import load
from tests.data.test_deezer import write_release
from tests.data.test_movielens import files_100k, many, write_zip
from tests.data.test_tabular import parquet as write_parquet


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    return write_zip(io.BytesIO(), files, folder="", method=method).getvalue()


def parquet(**columns: object) -> bytes:
    return write_parquet(io.BytesIO(), **columns).getvalue()


@pytest.mark.parametrize("kind", formats())
def test_the_undamaged_files_are_read(kind: str, tmp_path: Path) -> None:
    valid = formats()[kind]
    assert valid.read(valid.content, tmp_path) is not None


def test_damaged_content_is_a_value_error() -> None:
    told = soak(300, seed=0)
    assert told["tracebacks"] == 0, told["first"]
    assert told["read"] + told["refused"] == 300
    assert told["refused"] > told["read"] > 0


def test_the_damage_follows_its_seed() -> None:
    for kind in formats().values():
        rngs = [np.random.default_rng(seed) for seed in (1, 1, 2)]
        one, same, other = ([damaged_file(kind, rng) for _ in range(5)] for rng in rngs)
        assert one == same != other


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (8, b"\x63\x00"),  # a method that zipfile does not know
        (6, b"\x01\x00"),  # encrypted
    ],
)
def test_a_member_that_cannot_be_unpacked_is_named(place: int, change: bytes) -> None:
    content = bytearray(archive(files_100k()))
    local, central = content.index(b"u.item") - 30, content.rindex(b"u.item") - 46
    content[local + place : local + place + 2] = content[central + place + 2 : central + place + 4] = change
    with pytest.raises(ValueError, match=r"cannot read u\.item"):
        load(io.BytesIO(bytes(content)), name="a.zip")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_told_in_plain_words(method: int) -> None:
    content = bytearray(archive(files_100k(many()), method))
    start = content.index(b"u.data") + len(b"u.data")
    content[start + 4 : start + 40] = b"\xff" * 36
    with pytest.raises(ValueError, match=r"cannot read u\.data: it is damaged or cut off"):
        load(io.BytesIO(bytes(content)), name="a.zip")


def test_an_archive_without_its_beginning_is_told_in_plain_words() -> None:
    content = archive(files_100k())
    with pytest.raises(ValueError, match=r"cannot read u\.[a-z]+: it is damaged or cut off"):
        load(io.BytesIO(content[200:]), name="a.zip")


def test_a_member_without_a_name_is_passed_over() -> None:
    # A name ends at a zero byte.
    content = archive(files_100k() | {"nameless": b""}).replace(b"nameless", b"\x00ameless")
    assert load(io.BytesIO(content), name="a.zip").n_interactions == 5


@pytest.mark.parametrize("vector", ["[" * 100_000, f"[{'9' * 5000}, 1]", f"[{'9' * 400}, 1]", "{}", "[[1], [2]]", "[1e999, 1]"])
def test_vectors_that_are_no_numbers_are_refused_by_index(vector: str, tmp_path: Path) -> None:
    write_release(tmp_path, as_json=False)
    write_parquet(tmp_path / SONGS, song_index=[7, 8], features_svd=[vector, json.dumps([1.0, 2.0])])
    with pytest.raises(ValueError, match=rf"{SONGS}: features_svd of song_index 7 (is no list|must be a list) of"):
        read_deezer(tmp_path)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([2**50, -(2**50), 5], pa.timestamp("s")),
        pa.array([2**31 - 1, -(2**31), 5], pa.date32()),
        pa.array([2**62, None, 5], pa.timestamp("us", "UTC")),
        pa.array(["9999-12-31T23:59:59-12:00", "0000-00-00", "1"]),
        pa.array([2**63, 1, 2**64 - 1], pa.uint64()),
        pa.array([[1], None, [2]]),
    ],
)
def test_times_beyond_every_calendar_are_read_or_refused(times: pa.Array) -> None:
    table = parquet(user=["a", "b", "a"], item=[1, 2, 3], time=times)
    try:
        data = load(io.BytesIO(table), name="a.parquet")
    except ValueError as error:
        assert "column 'time'" in str(error)  # noqa: PT017  a value that is read is fine too
    else:
        assert data.has_time


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.int64()), pa.struct({"a": pa.int64()}), pa.map_(pa.string(), pa.int64()), pa.list_(pa.string())]
)
@pytest.mark.parametrize("column", ["user", "item", "time", "rating", "title", "genres"])
def test_nested_columns_are_read_as_text_or_refused_by_name(kind: pa.DataType, column: str) -> None:
    columns = {"user": ["a", "b"], "item": [1, 2], column: pa.array([None, None], kind)}
    try:
        load(io.BytesIO(parquet(**columns)), name="a.parquet")
    except ValueError as error:
        assert f"column '{column}'" in str(error)  # noqa: PT017


@pytest.mark.parametrize("ids", [[[1]], [[["a"]]], [{"a": 1}], [b"a"], [True], [1.5], [datetime.date(2024, 1, 1)]])
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_ids_of_a_ready_made_split_are_integers_or_text(ids: list[object], column: str, tmp_path: Path) -> None:
    columns = {"user_id": [1] * 60, "item_id": list(range(60))}
    write_parquet(tmp_path / "test.parquet", **columns)
    write_parquet(tmp_path / "train.parquet", **columns | {column: ids * 60})
    with pytest.raises(ValueError, match=rf"training file: train\.parquet: (ids in )?column '{column}'"):
        read_fixed_split(tmp_path / "train.parquet", tmp_path / "test.parquet", SplitConfig())


def test_a_ready_made_split_has_limits(tmp_path: Path) -> None:
    write_parquet(tmp_path / "train.parquet", user_id=[1], item_id=["x" * 70_000])
    with pytest.raises(ValueError, match=r"training file: train\.parquet has 70,000 bytes in one cell or line; at most 65,536 are read"):
        read_fixed_split(tmp_path / "train.parquet", tmp_path / "train.parquet", SplitConfig(), UPLOADS)
