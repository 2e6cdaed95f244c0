"""The file of recorded lessons: JSON, found by data, settings, lesson and the value of its control."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.lessons.lesson import Lesson
from app.lessons.reading import Row
from app.lessons.results import LessonResult
from app.models.trained import Recording
from sparcode.config import RunConfig

FORMAT: Final = 1
MAX_BYTES: Final = 500_000
_DIGITS: Final = 7


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RowEntry(_Part):
    """One row; null for a figure that is no number."""

    name: str
    values: dict[str, float | None]


class LessonEntry(_Part):
    """One recorded result, its address, and for human readers what it is of; see `app.lessons.results.LessonResult`."""

    address: str
    lesson: int
    value: str
    rows: list[RowEntry] = Field(min_length=1)
    seconds: float = Field(ge=0)
    processor_seconds: float = Field(ge=0)
    load: float | None
    seed: int
    data_name: str
    machine: str
    measured_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT")


class RecordedLessons(_Part):
    """The whole file."""

    format_version: int = FORMAT
    results: list[LessonEntry] = []


def address(data_hash: str, config: RunConfig, lesson: Lesson, value: str) -> str:
    """Hash of all that a result depends on, 16 hexadecimal digits."""
    parts = (str(FORMAT), data_hash, config.content_hash(), str(lesson.number), str(lesson.version), value)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def entry_of(result: LessonResult, where: str, lesson: Lesson, value: str) -> LessonEntry:
    """A result as it is recorded at an address."""
    rows = [RowEntry(name=row.name, values={name: _plain(figure) for name, figure in row.values.items()}) for row in result.rows]
    facts = {name: getattr(result, name) for name in ("seconds", "processor_seconds", "seed", "data_name", "machine", "measured_at")}
    return LessonEntry(address=where, lesson=lesson.number, value=value, rows=rows, load=_plain(result.load), **facts)


def result_of(entry: LessonEntry) -> LessonResult:
    """The result of an entry, marked as recorded."""
    rows = [Row(row.name, {name: math.nan if figure is None else figure for name, figure in row.values.items()}) for row in entry.rows]
    facts = {name: getattr(entry, name) for name in ("seconds", "processor_seconds", "seed", "data_name", "machine", "measured_at")}
    recording = Recording(entry.measured_at[:10], entry.machine)
    return LessonResult(rows, load=math.nan if entry.load is None else entry.load, recording=recording, **facts)


def read_lessons(file: Path) -> RecordedLessons:
    """Read and check a file; empty where there is none. ValueError if it is damaged or of another format."""
    if not file.is_file():
        return RecordedLessons()
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("format_version") != FORMAT:
            raise ValueError(f"{file.name} is not of format {FORMAT}")
        return RecordedLessons.model_validate(content)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        raise ValueError(f"{file.name} is damaged: {str(error).splitlines()[0]}") from error


def write_lessons(entries: Sequence[LessonEntry], file: Path) -> int:
    """Write a file in place of an earlier one, atomically; returns its bytes. ValueError if it would be larger than `MAX_BYTES`."""
    ordered = sorted(entries, key=lambda entry: (entry.lesson, entry.value))
    lines = ",\n".join(entry.model_dump_json() for entry in ordered)
    text = f'{{"format_version": {FORMAT}, "results": [\n{lines}\n]}}\n'
    if (size := len(text.encode())) > MAX_BYTES:
        raise ValueError(f"recorded lessons take {size:,} bytes; at most {MAX_BYTES:,} are allowed, so record fewer")
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}-", delete=False) as new:
        new.write(text)
    os.chmod(new.name, 0o644)
    os.replace(new.name, file)
    return size


@lru_cache(maxsize=4)
def found_in(file: Path) -> dict[str, LessonResult]:
    """Address -> result of a file; read once. Empty for a damaged one: its lessons are then measured here."""
    try:
        return {entry.address: result_of(entry) for entry in read_lessons(file).results}
    except ValueError:
        return {}


def _plain(figure: float) -> float | None:
    return None if math.isnan(figure) else float(f"{figure:.{_DIGITS}g}")
