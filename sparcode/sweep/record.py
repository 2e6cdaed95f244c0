"""The record of a finished trial: its settings, epochs and whole threshold curve, as one JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from sparcode.comparison.pareto import best_under
from sparcode.config import Config, RunConfig
from sparcode.config_message import validation_message
from sparcode.sweep.space import Value

TRIALS: Final = "trials"
RUNS: Final = "runs"
_SUFFIX, _EVENTS, _NEW = ".json", ".events.jsonl", ".new"


class CurvePoint(Config):
    """A trained model at one threshold: figures at k on validation users, median latency of a query, bytes of the index.

    `is_own` marks the threshold of training.
    """

    threshold: float
    recall: float
    ndcg: float
    p50_ms: float
    size_bytes: int
    is_own: bool = False


class Epoch(Config):
    """One joint epoch, 0 for the state before them, and its recall on validation users."""

    epoch: int
    recall: float


class TrialRecord(Config):
    """One finished trial.

    Attributes
    ----------
    state
        complete; pruned, given up early; or failed, with its `error` in words.
    params
        Setting, as stage.field, -> value of all that varies.
    config
        All its settings; empty if they do not go together.
    curve
        By falling size; empty unless complete.
    seconds, backbone_seconds
        Wall time of the trial, and that part of it in which it trained a backbone (or waited for one).
    run
        Name of its folder among the sweep's runs; empty unless complete.
    """

    number: int = Field(ge=0)
    state: Literal["complete", "pruned", "failed"]
    params: dict[str, Value]
    config: dict[str, Any] = Field(default_factory=dict)
    epochs: tuple[Epoch, ...] = ()
    curve: tuple[CurvePoint, ...] = ()
    seconds: float = 0.0
    backbone_seconds: float = 0.0
    run: str = ""
    error: str = ""
    machine: str = ""

    def best(self, max_bytes: int | None = None) -> CurvePoint | None:
        """The point of best recall (ties: the smallest), within so many bytes if given; None if there is none."""
        return best_under(self.curve, float("inf") if max_bytes is None else max_bytes)

    def value(self, max_bytes: int | None = None) -> float:
        """What the sweep maximises: recall of `best`, 0 without one."""
        best = self.best(max_bytes)
        return 0.0 if best is None else best.recall

    @property
    def own(self) -> CurvePoint:
        """A complete trial at its threshold of training."""
        return next(point for point in self.curve if point.is_own)

    @property
    def settings(self) -> RunConfig:
        """All settings as a model; ValueError if they do not go together."""
        return RunConfig.as_written(self.config)


class Event(Config):
    """What a trial under way is doing; `epoch` of at most `epochs`, with the recall it reached on validation users, where it trains.

    Attributes
    ----------
    stage
        waiting (for the backbone that another trial trains), backbone, codes, joint, or measuring.
    session
        The process that started the trial, see `sparcode.sweep.session`.
    """

    stage: Literal["waiting", "backbone", "codes", "joint", "measuring"]
    session: str
    params: dict[str, Value]
    epoch: int = 0
    epochs: int = 0
    recall: float | None = None


def run_name(number: int) -> str:
    """Name of a trial's run."""
    return f"trial-{number:04d}"


def write_record(folder: Path, record: TrialRecord) -> None:
    """Write a record into a sweep's folder, whole or not at all."""
    path = _path(folder, record.number)
    path.parent.mkdir(exist_ok=True)
    # A name of its own: an abandoned process may be writing the same record.
    new = path.with_suffix(f".{os.getpid()}{_NEW}")
    with new.open("w", encoding="utf-8") as file:
        file.write(json.dumps(record.model_dump(mode="json"), allow_nan=False))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def read_record(folder: Path, number: int) -> TrialRecord | None:
    """The record of a trial; None if it has not finished. ValueError, which names the file, if it is damaged."""
    path = _path(folder, number)
    try:
        record = TrialRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
        if record.number != number:
            raise ValueError(f"it is of trial {record.number}")
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: {validation_message(error)}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return record


def finished_numbers(folder: Path) -> list[int]:
    """Numbers of the trials with a record, ascending."""
    return sorted(int(path.stem) for path in (folder / TRIALS).glob(f"*{_SUFFIX}") if path.stem.isdecimal())


class EventLog:
    """The events of one trial in a file, begun anew with each attempt."""

    def __init__(self, folder: Path, number: int, session: str, params: dict[str, Value]) -> None:
        self._path, self._about = _events(folder, number), {"session": session, "params": params}
        self._path.parent.mkdir(exist_ok=True)
        self._path.unlink(missing_ok=True)

    def write(self, stage: str, epoch: int = 0, epochs: int = 0, recall: float | None = None) -> None:
        """Add an event."""
        event = Event(stage=stage, epoch=epoch, epochs=epochs, recall=recall, **self._about)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(event.model_dump_json() + "\n")


class EventReader:
    """Reads the events of one trial as they come."""

    def __init__(self, folder: Path, number: int) -> None:
        self._path, self._place, self._file = _events(folder, number), 0, -1

    def new(self) -> Iterator[Event]:
        """The events since the last call; whole lines alone."""
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno()).st_ino
                if found != self._file:
                    self._file, self._place = found, 0
                file.seek(self._place)
                lines = file.readlines()
        except OSError:
            return
        for line in lines:
            if not line.endswith(b"\n"):
                return
            self._place += len(line)
            try:
                yield Event.model_validate_json(line)
            except ValidationError:
                continue


def last_event(folder: Path, number: int) -> Event | None:
    """The latest event of a trial; None if there is none."""
    event = None
    for event in EventReader(folder, number).new():  # noqa: B007 - the last one is wanted
        pass
    return event


def begun_numbers(folder: Path) -> list[int]:
    """Numbers of the trials with events, finished or not, ascending."""
    names = (path.name.removesuffix(_EVENTS) for path in (folder / TRIALS).glob(f"*{_EVENTS}"))
    return sorted(int(name) for name in names if name.isdecimal())


def _path(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}{_SUFFIX}"


def _events(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}{_EVENTS}"
