"""The record of a finished trial: its settings, epochs and whole threshold curve, as one JSON file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from sparcode.comparison.pareto import best_under
from sparcode.config import Config, RunConfig
from sparcode.config_message import validation_message
from sparcode.sweep.space import Value

TRIALS: Final = "trials"
RUNS: Final = "runs"
_SUFFIX, _NEW = ".json", ".new"


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


def _path(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}{_SUFFIX}"
