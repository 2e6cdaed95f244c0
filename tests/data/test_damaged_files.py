"""Whatever a file holds, a loader reads it or raises a ValueError."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sparcode.config import SplitConfig
from sparcode.data.fixed_split import read_fixed_split
from sparcode.data.loading import load
from tests.data.test_movielens import files_1m, files_100k, many, write_zip
from tests.data.test_tabular import parquet as write_parquet

CSV = "user,item,time,rating,title\n" + "".join(
    f'u{row % 7},{row % 11},2024-01-{1 + row % 28:02}T10:00:00+01:00,{row % 5},"T, {row}"\n' for row in range(40)
)
USERS = "user,job,age\n" + "".join(f"u{row},cook,{20 + row}\n" for row in range(7))
ITEMS = "item,title,genres\n" + "".join(f"{row},Item {row},A|B\n" for row in range(11))


def archive(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    return write_zip(io.BytesIO(), files, folder="", method=method).getvalue()


def parquet(**columns: object) -> bytes:
    return write_parquet(io.BytesIO(), **columns).getvalue()


PARQUET = parquet(
    user=pa.array([f"u{row % 7}" for row in range(60)]).dictionary_encode(),
    item=[row % 11 for row in range(60)],
    time=pa.array([datetime.datetime(2024, 1, 1 + row % 28) for row in range(60)], pa.timestamp("us", "UTC")),
    rating=[row % 5 + 0.5 for row in range(60)],
    genres=[["A", "B"]] * 60,
)
PAIRS = parquet(user_id=[row // 6 for row in range(60)], item_id=[f"i{row % 13}" for row in range(60)])

OTHER_PAIRS = parquet(user_id=[row % 10 for row in range(20)], item_id=[f"i{20 + row}" for row in range(20)])


def read_pairs(content: bytes, folder: Path) -> None:
    (folder / "train.parquet").write_bytes(content)
    (folder / "test.parquet").write_bytes(OTHER_PAIRS)
    read_fixed_split(folder / "train.parquet", folder / "test.parquet", SplitConfig(min_history=2))


def upload(content: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file


Reader = Callable[[bytes, Path], object]
TABLE = upload(CSV.encode(), "a.csv")
LOADERS: dict[str, tuple[bytes, Reader]] = {
    **{
        f"zip of method {method}": (archive(files_100k(many()), method), lambda content, _: load(io.BytesIO(content), name="a.zip"))
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    },
    "zip of 1M": (archive(files_1m(many())), lambda content, _: load(io.BytesIO(content), name="a.zip", min_rating=2)),
    "csv": (CSV.encode(), lambda content, _: load(io.BytesIO(content), name="a.csv")),
    "tsv": (CSV.replace(",", "\t").encode(), lambda content, _: load(io.BytesIO(content), name="a.tsv", min_rating=1)),
    "parquet": (PARQUET, lambda content, _: load(io.BytesIO(content), name="a.parquet")),
    "ready-made split": (PAIRS, read_pairs),
    "users": (USERS.encode(), lambda content, _: load(TABLE, users_path=upload(content, "u.csv"))),
    "items": (ITEMS.encode(), lambda content, _: load(TABLE, items_path=upload(content, "i.csv"))),
}


def damaged(content: bytes, rng: np.random.Generator, n: int) -> Iterator[bytes]:
    """Copies with flipped bits, other bytes, a part that is cut out, doubled or moved, or the end missing."""
    for _ in range(n):
        start, end = np.sort(rng.integers(len(content), size=2))
        part = content[start : min(end, start + 40)]
        for _ in range(rng.integers(1, 4)):
            place, copy = rng.integers(len(content)), bytearray(content)
            match rng.integers(6):
                case 0:
                    copy[place] ^= 1 << rng.integers(8)
                case 1:
                    copy[place : place + 4] = rng.bytes(4)
                case 2:
                    copy[place : place + len(part)] = b""
                case 3:
                    copy[place:place] = part
                case 4:
                    copy[place:place] = rng.choice([b"9" * 25, b"-", b"\xff", b'"', b"\n", b"9999-12-31T23:59:59-12:00", b"1e999"])
                case 5:
                    del copy[place:]
            yield bytes(copy)


@pytest.mark.parametrize("kind", LOADERS)
def test_damaged_content_is_a_value_error(kind: str, tmp_path: Path) -> None:
    content, read = LOADERS[kind]
    read(content, tmp_path)
    n_refused = 0
    for copy in damaged(content, np.random.default_rng(0), 30):
        try:
            read(copy, tmp_path)
        except ValueError:
            n_refused += 1
    assert n_refused


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (8, b"\x63\x00"),  # a method that zipfile does not know: NotImplementedError
        (6, b"\x01\x00"),  # encrypted: RuntimeError
    ],
)
def test_a_member_that_cannot_be_unpacked_is_named(place: int, change: bytes) -> None:
    content = bytearray(archive(files_100k()))
    local, central = content.index(b"u.item") - 30, content.rindex(b"u.item") - 46
    content[local + place : local + place + 2] = content[central + place + 2 : central + place + 4] = change
    with pytest.raises(ValueError, match=r"cannot read u\.item"):
        load(io.BytesIO(bytes(content)), name="a.zip")


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
