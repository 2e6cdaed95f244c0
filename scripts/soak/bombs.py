"""Small files that would exhaust a studio if they were read without limits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

_LINE: Final = b"1\t1\t5\t1\n"


class Bomb(NamedTuple):
    """A file's name, and what makes its content."""

    name: str
    make: Callable[[], bytes]


def zipped(n_bytes: int) -> bytes:
    """An archive of MovieLens whose ratings are a line repeated, the last one malformed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in {"u.item": b"1|a|||||1\n", "u.genre": b"Drama|0\n"}.items():
            archive.writestr(name, content)
        with archive.open("u.data", "w") as ratings:
            for _ in range(n_bytes // 2**20):
                ratings.write(_LINE * (2**20 // len(_LINE)))
            ratings.write(b"malformed\n")
    return packed.getvalue()


def _large_text() -> bytes:
    written = io.BytesIO()
    users = pa.DictionaryArray.from_arrays(np.zeros(12_000, np.int32), ["x" * 2**20])
    pq.write_table(pa.table({"user": users, "item": np.zeros(12_000)}), written, compression="zstd")
    return written.getvalue()


BOMBS: Final = {
    "unpacks to much": Bomb("a.zip", lambda: zipped(140 * 10**6)),
    "too many rows": Bomb("a.zip", lambda: zipped(44 * 10**6)),
    "one large text": Bomb("a.parquet", _large_text),
    "many columns": Bomb("a.csv", lambda: f"user,item,{','.join(f'c{number}' for number in range(80_000))}\n".encode()),
}
