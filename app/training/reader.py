"""Reads one uploaded file in a process of its own, within limits: ``python -m app.training.reader FOLDER``.

`app/training/reading.py` starts it. FOLDER holds `request.json` and the file, and then `answer.json`, `split.npz` and `catalogue.json`:
nothing is unpickled.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from sparcode.config import SplitConfig
from sparcode.data.evaluation_protocol import STRONG
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.limits import Limits
from sparcode.data.loading import load
from sparcode.data.side_features import UserEncoding
from sparcode.data.split import EvaluationSet, Split, split_users
from sparcode.data.table_file import TableFile
from sparcode.data.tabular import guess_columns

UPLOADED: Final = "upload"
REQUEST: Final = "request.json"
ANSWER: Final = "answer.json"
ARRAYS: Final = "split.npz"
CATALOGUE: Final = "catalogue.json"
# What people see of a table.
LOOKED_AT_ROWS: Final = 5
LOOKED_AT_COLUMNS: Final = 30
LOOKED_AT_CHARACTERS: Final = 80
# Below the pages and trainings of others.
_NICENESS: Final = 5


class TableLook(NamedTuple):
    """A table as people choose its columns: all names, what was taken (field -> column), and cells of the first rows and columns."""

    columns: tuple[str, ...]
    taken: Mapping[str, str | None]
    rows: tuple[tuple[str, ...], ...]


class UnusableFile(ValueError):
    """A file cannot be used; `table` shows what is in it, where that much could be read."""

    def __init__(self, reason: str, table: TableLook | None) -> None:
        super().__init__(reason)
        self.table = table


class ReadFile(NamedTuple):
    """What the studio keeps of a file: its name, sizes in words, data (users without ids), split, and reason -> rows or users left out.

    `table` is None for an archive.
    """

    name: str
    facts: str
    interactions: Interactions
    split: Split
    dropped: Mapping[str, int] = MappingProxyType({})
    table: TableLook | None = None


@dataclass(frozen=True)
class Request:
    """What to read and how; `memory_bytes` are taken at most beside those of the started process, and `seconds` of processor time.

    `path` is a file of the studio's own; empty for an uploaded one, which lies beside the request. `columns` are those chosen for a table,
    as fields of `ColumnMapping`; the others are guessed.
    """

    name: str
    config: SplitConfig
    limits: Limits
    memory_bytes: int
    seconds: float
    path: str = ""
    columns: Mapping[str, str | None] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write it for the other process."""
        (folder / REQUEST).write_text(json.dumps({**asdict(self), "config": self.config.model_dump()}), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Request:
        """What `write` wrote."""
        told = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        return cls(**told | {"config": SplitConfig(**told["config"]), "limits": Limits(**told["limits"])})


def facts(interactions: Interactions) -> str:
    """Sizes in words."""
    return f"{interactions.n_users:,} users, {interactions.n_items:,} items, {interactions.n_interactions:,} interactions"


def read_file(content: bytes, request: Request) -> ReadFile:
    """Read and split a file; `UnusableFile` if it cannot be used."""
    is_archive, table = request.name.lower().endswith(".zip"), None
    try:
        if not is_archive:
            table = look_at(content, request)
        options = {"columns": request.columns} if request.columns and table is not None else {}
        interactions = load(_file(content, request), limits=request.limits, **options)
        split = split_users(interactions, request.config)
    except ValueError as error:
        raise UnusableFile(str(error), table) from error
    # What an archive calls itself is no reason to show it by that name.
    named = replace(interactions, name=request.name) if is_archive else interactions
    return ReadFile(named.name, facts(named), named, split, {**named.dropped, **split.dropped}, table)


def look_at(content: bytes, request: Request) -> TableLook:
    """Names, guessed or chosen columns, and the first cells of a table; ValueError if it is none."""
    file = TableFile(_file(content, request), limits=request.limits)
    try:
        taken = guess_columns(file.columns, request.columns).model_dump()
    except ValueError:
        taken = {}
    rows = file.first_rows(LOOKED_AT_ROWS, LOOKED_AT_COLUMNS)
    return TableLook(tuple(file.columns), taken, tuple(tuple(cell[:LOOKED_AT_CHARACTERS] for cell in row) for row in rows))


def _file(content: bytes, request: Request) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = request.name
    return file


def write_answer(folder: Path, found: ReadFile, start_bytes: int = 0) -> None:
    """Write what was read for the studio, and the memory that the process had at its start and at most."""
    split, data = found.split, found.interactions
    parts = {"all": data.histories, "train": split.train}
    for name, held_out in (("validation", split.validation), ("test", split.test)):
        parts |= {f"{name}.queries": held_out.queries, f"{name}.targets": held_out.targets}
    arrays = {"train.users": split.train_users, "validation.users": split.validation.users, "test.users": split.test.users}
    for name, histories in parts.items():
        arrays |= {f"{name}.indptr": histories.indptr, f"{name}.items": histories.items}
        if histories.features is not None:
            arrays[f"{name}.features"] = histories.features
    if split.item_features is not None:
        arrays["item_features"] = split.item_features
    np.savez(folder / ARRAYS, **arrays)
    items = json.loads(data.items.to_json(orient="split", index=False))
    catalogue = {"item_ids": [str(item_id) for item_id in data.item_ids], "items": items}
    (folder / CATALOGUE).write_text(json.dumps(catalogue), encoding="utf-8")
    encoding = split.user_encoding
    told = {
        "name": found.name,
        "facts": found.facts,
        "dropped": dict(found.dropped),
        "rows_dropped": dict(data.dropped),
        "users_dropped": split.dropped,
        "has_time": split.has_time,
        "time_span": data.time_span,
        "n_items": split.train.n_items,
        "user_encoding": None if encoding is None else encoding.model_dump(),
        "table": found.table,
    }
    _tell(folder, told, start_bytes)


def read_answer(folder: Path) -> ReadFile:
    """What `write_answer` wrote; ValueError with the text of the reader if it could not use the file.

    MemoryError if it ran out of memory, FileNotFoundError if it did not answer.
    """
    told = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
    table = None if told["table"] is None else TableLook(tuple(told["table"][0]), told["table"][1], tuple(map(tuple, told["table"][2])))
    if "error" in told:
        raise MemoryError(told["error"]) if told["out_of_memory"] else UnusableFile(told["error"], table)
    with np.load(folder / ARRAYS, allow_pickle=False) as file:
        arrays = dict(file)

    def histories(name: str) -> Histories:
        return Histories(arrays[f"{name}.indptr"], arrays[f"{name}.items"], told["n_items"], arrays.get(f"{name}.features"))

    def held_out(name: str) -> EvaluationSet:
        return EvaluationSet(histories(f"{name}.queries"), histories(f"{name}.targets"), arrays[f"{name}.users"], STRONG)

    encoding = told["user_encoding"]
    split = Split(
        train=histories("train"),
        train_users=arrays["train.users"],
        validation=held_out("validation"),
        test=held_out("test"),
        dropped=told["users_dropped"],
        has_time=told["has_time"],
        item_features=arrays.get("item_features"),
        user_encoding=None if encoding is None else UserEncoding.model_validate(encoding),
    )
    catalogue = json.loads((folder / CATALOGUE).read_text(encoding="utf-8"))
    whole = histories("all")
    interactions = Interactions(
        histories=whole,
        user_ids=np.arange(len(whole)),
        item_ids=np.array(catalogue["item_ids"], dtype=object),
        items=pd.DataFrame(catalogue["items"]["data"], columns=catalogue["items"]["columns"]),
        name=told["name"],
        has_time=told["has_time"],
        dropped=told["rows_dropped"],
        time_span=None if told["time_span"] is None else tuple(told["time_span"]),
    )
    return ReadFile(told["name"], told["facts"], interactions, split, told["dropped"], table)


def bound_process(memory_bytes: int, seconds: float) -> None:
    """Let this process take no more than this beside what it has, where the system tells what that is (not on macOS)."""
    os.nice(_NICENESS)
    # The studio ends it earlier; this holds even if the studio was killed.
    _bound(resource.RLIMIT_CPU, int(seconds) + 2)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, memory_bytes)
    sizes = Path("/proc/self/statm")
    if sizes.exists():
        _bound(resource.RLIMIT_AS, int(sizes.read_text().split()[0]) * resource.getpagesize() + memory_bytes)


def _bound(kind: int, most: int) -> None:
    try:
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    except (ValueError, OSError):
        # A container may forbid it; the deadline still holds.
        pass


def _tell(folder: Path, answer: Mapping[str, object], start_bytes: int) -> None:
    (folder / ANSWER).write_text(json.dumps({**answer, "start_bytes": start_bytes, "peak_bytes": _peak_bytes()}), encoding="utf-8")


def _peak_bytes() -> int:
    """The most memory this process had so far; 0 where it is not known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def _is_memory(error: BaseException | None) -> bool:
    return error is not None and (isinstance(error, MemoryError) or _is_memory(error.__cause__))


def main() -> None:
    """Answer the request in the folder that the command line names."""
    folder = Path(sys.argv[1])
    request, start_bytes = Request.read(folder), _peak_bytes()
    bound_process(request.memory_bytes, request.seconds)
    try:
        file = Path(request.path) if request.path else folder / UPLOADED
        write_answer(folder, read_file(file.read_bytes(), request), start_bytes)
    except (ValueError, MemoryError, OSError) as error:
        table = getattr(error, "table", None)
        _tell(folder, {"error": str(error), "out_of_memory": _is_memory(error), "table": table}, start_bytes)


if __name__ == "__main__":
    main()
