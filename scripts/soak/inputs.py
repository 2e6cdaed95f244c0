"""Damaged input files: whatever a file holds, a loader reads it or raises a ValueError."""

from __future__ import annotations

import datetime
import io
import json
import tempfile
import time
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sparcode.config import SplitConfig
from sparcode.data.deezer import EMBEDDINGS, PARTS, SONGS, USERS
from sparcode.data.limits import UPLOADS
from sparcode.data.loading import TrainTestFiles, load, load_split

# Texts that parsers stumble over.
_ODD: Final = (
    *(b"9" * 25, b"9" * 5000, b"-", b"\xff", b'"', b"\n", b"\r", b"\x00", b"[" * 3000, b"1e999", b"nan", b"0x1", b",,", b"::", b"|", b"\t"),
    *(b"9999-12-31T23:59:59-12:00", b"0000-00-00", "１".encode(), b"\xef\xbb\xbf"),
)
_SHOWN_TRACEBACKS: Final = 5


class Format(NamedTuple):
    """A kind of file: valid ones, and how one is read; `members` of an archive are damaged before they are packed, too."""

    content: bytes
    read: Callable[[bytes, Path], object]
    members: dict[str, bytes] | None = None
    method: int = zipfile.ZIP_DEFLATED


def formats() -> dict[str, Format]:
    """A small valid file of every format by its name."""
    table = _file(_CSV, "a.csv")
    packed = {
        f"MovieLens zip of method {method}": (_ML_100K, method)
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    } | {"MovieLens 1M": (_ML_1M, zipfile.ZIP_DEFLATED), "MovieLens 10M": (_ML_10M, zipfile.ZIP_DEFLATED)}
    archives = {name: Format(pack(files, method), _reads("a.zip", min_rating=2), files, method) for name, (files, method) in packed.items()}
    return archives | {
        "csv": Format(_CSV, _reads("a.csv")),
        "tsv": Format(_CSV.replace(b",", b"\t"), _reads("a.tsv", min_rating=1)),
        "parquet": Format(_parquet(_TABLE), _reads("a.parquet", min_rating=1)),
        "items of csv": Format(_ITEMS, lambda content, _: load(table, items_path=_file(content, "i.csv"), limits=UPLOADS)),
        "users of csv": Format(_USERS, lambda content, _: load(table, users_path=_file(content, "u.csv"), limits=UPLOADS)),
        "users of parquet": Format(
            _parquet({"user": [f"u{row}" for row in range(7)], "job": ["cook"] * 7, "age": np.arange(7.0)}),
            lambda content, _: load(table, users_path=_file(content, "u.parquet"), limits=UPLOADS),
        ),
        "ready-made split": Format(_parquet(_pairs(0)), _read_pairs),
        "Deezer's songs": Format(_deezer()[SONGS], _reads_deezer(SONGS)),
        "Deezer's users": Format(_deezer()[USERS], _reads_deezer(USERS)),
        "Deezer's features": Format(_deezer()["user_features_train_svd.parquet"], _reads_deezer("user_features_train_svd.parquet")),
    }


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """A copy with one to three damages: other bits or bytes, a part or line cut out, doubled or moved, odd text, the end missing."""
    copy = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if not copy:
            break
        place = int(rng.integers(len(copy)))
        part = bytes(copy[place : place + int(rng.integers(1, 40))])
        match rng.integers(8):
            case 0:
                copy[place] ^= 1 << int(rng.integers(8))
            case 1:
                copy[place : place + 4] = rng.bytes(4)
            case 2:
                copy[place : place + len(part)] = b""
            case 3:
                other = int(rng.integers(len(copy)))
                copy[other:other] = part
            case 4:
                copy[place:place] = _ODD[int(rng.integers(len(_ODD)))]
            case 5:
                copy[place : place + 8] = int(rng.choice([0, 1, 2**31 - 1, 2**63 - 1])).to_bytes(8, "little")
            case 6:
                lines = bytes(copy).split(b"\n")
                del lines[int(rng.integers(len(lines)))]
                copy = bytearray(b"\n".join(lines))
            case 7:
                del copy[place:]
    return bytes(copy)


def damaged_file(kind: Format, rng: np.random.Generator) -> bytes:
    """A damaged file of a format; of an archive in half of the cases a member is damaged, or two have swapped their content."""
    if kind.members is None or rng.random() < 0.5:
        return damaged(kind.content, rng)
    members = dict(kind.members)
    one, other = rng.choice(sorted(members), size=2, replace=False)
    if rng.random() < 0.2:
        members[one], members[other] = members[other], members[one]
    else:
        members[one] = damaged(members[one], rng)
    return pack(members, kind.method)


def soak(count: int, seed: int = 0) -> dict[str, object]:
    """Read `count` damaged files, of all formats in turn; how many were read, refused or ended in a traceback, and what took longest."""
    rng, kinds = np.random.default_rng(seed), list(formats().items())
    told: dict[str, object] = {"bad_inputs": count, "read": 0, "refused": 0, "tracebacks": 0, "slowest_s": 0.0}
    first: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            name, kind = kinds[number % len(kinds)]
            content, start = damaged_file(kind, rng), time.perf_counter()
            try:
                kind.read(content, Path(folder))
                told["read"] += 1
            except ValueError:
                told["refused"] += 1
            except Exception:
                told["tracebacks"] += 1
                first.append(f"input {number} ({name}): {traceback.format_exc()}")
            told["slowest_s"] = max(told["slowest_s"], round(time.perf_counter() - start, 3))
    return told | {"first": first[:_SHOWN_TRACEBACKS]}


def pack(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A .zip archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            # By its name alone it would have the time of now, and no seed would make it again.
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return packed.getvalue()


def _file(content: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file


def _reads(name: str, **options: object) -> Callable[[bytes, Path], object]:
    return lambda content, _: load(_file(content, name), limits=UPLOADS, **options)


def _read_pairs(content: bytes, folder: Path) -> object:
    (folder / "train.parquet").write_bytes(content)
    (folder / "test.parquet").write_bytes(_parquet(_pairs(20)))
    files = TrainTestFiles(folder / "train.parquet", folder / "test.parquet")
    return load_split(files, SplitConfig(protocol="fixed-split", min_history=2), limits=UPLOADS)


def _reads_deezer(damaged_name: str) -> Callable[[bytes, Path], object]:
    def read(content: bytes, folder: Path) -> object:
        for name, whole in (_deezer() | {damaged_name: content}).items():
            (folder / name).write_bytes(whole)
        return load_split(str(folder), SplitConfig(protocol="cold-start"), limits=UPLOADS)

    return read


def _parquet(columns: dict[str, object]) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


def _pairs(first: int) -> dict[str, object]:
    return {"user_id": [row // 6 for row in range(60)], "item_id": [f"i{first + row % 13}" for row in range(60)]}


def _deezer() -> dict[str, bytes]:
    vectors = pa.array([json.dumps([row, 1.5, -row]) for row in range(9)])
    files = {SONGS: {"song_index": list(range(9))}, USERS: {"user_index": list(range(9))}}
    files[SONGS] |= {f"features_{embedding}": vectors for embedding in EMBEDDINGS}
    files[USERS] |= {f"{embedding}_embeddings": vectors for embedding in EMBEDDINGS}
    for part in PARTS:
        heard = pa.array([[row, (row + 1) % 9] for row in range(9)], pa.list_(pa.int32()))
        columns = {"user_index": list(range(9)), "d1d30_songs": heard, "age": [20.0 + row for row in range(9)], "likes": list(range(9))}
        files[f"user_features_{part}_svd.parquet"] = columns
    return {name: _parquet(columns) for name, columns in files.items()}


_CSV: Final = b"user,item,time,rating,title\n" + b"".join(
    b'u%d,%d,2024-01-%02dT10:00:00+01:00,%d,"T, %d"\n' % (row % 7, row % 11, 1 + row % 28, row % 5, row) for row in range(40)
)
_USERS: Final = b"user,job,age\n" + b"".join(b"u%d,cook,%d\n" % (row, 20 + row) for row in range(7))
_ITEMS: Final = b"item,title,genres\n" + b"".join(b"%d,Item %d,A|B\n" % (row, row) for row in range(11))
_TABLE: Final = {
    "user": pa.array([f"u{row % 7}" for row in range(60)]).dictionary_encode(),
    "item": [row % 11 for row in range(60)],
    "time": pa.array([datetime.datetime(2024, 1, 1 + row % 28) for row in range(60)], pa.timestamp("us", "UTC")),
    "rating": [row % 5 + 0.5 for row in range(60)],
    "genres": [["A", "B"]] * 60,
}
_RATED: Final = [(1 + row % 30, 1 + row // 30 % 3, 1 + row % 5, row) for row in range(300)]
_ML_100K: Final = {
    "u.data": b"".join(b"%d\t%d\t%d\t%d\n" % row for row in _RATED),
    "u.item": b"".join(b"%d|Title %d (1995)|01-Jan-1995||http://example.org|1|0\n" % (row, row) for row in range(1, 4)),
    "u.genre": b"Drama|0\nComedy|1\n\n",
    "u.user": b"".join(b"%d|%d|M|%s|85711\n" % (user, 20 + user, (b"cook", b"nurse")[user % 2]) for user in range(1, 31)),
}
_ML_1M: Final = {
    "ratings.dat": b"".join(b"%d::%d::%d::%d\n" % row for row in _RATED),
    "movies.dat": b"".join(b"%d::Title: %d (1995)::Drama|Comedy\n" % (row, row) for row in range(1, 4)),
    "users.dat": b"".join(b"%d::F::1::10::48067\n" % user for user in range(1, 31)),
}
_HALF_STARS: Final = b"".join(b"%d::%d::%d.5::%d\n" % (user, item, stars - 1, second) for user, item, stars, second in _RATED)
_ML_10M: Final = {**_ML_1M, "ratings.dat": _HALF_STARS, "tags.dat": b"1::2::x::3\n"}
