"""What trials under way are doing: events in a file of each trial, read by the process that runs the sweep, and from outside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from sparcode.config import Config
from sparcode.sweep.record import TRIALS
from sparcode.sweep.space import Value

_EVENTS: Final = ".events.jsonl"


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


def _events(folder: Path, number: int) -> Path:
    return folder / TRIALS / f"{number:04d}{_EVENTS}"
