"""A background job as it stands at one moment."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class JobSnapshot(NamedTuple):
    """A job at one moment.

    Attributes
    ----------
    key, label
        What tells it apart, and what people read.
    state
        Where it stands.
    records
        Everything published so far, oldest first.
    result
        What the work returned; None until it is done.
    error
        Text of the exception that ended it, empty otherwise.
    version
        Grows with every change.
    owners
        Who asked for it and still wants it.
    seconds
        Time at work so far; 0 while queued.
    ahead
        Jobs that this one waits for, none unless queued.
    """

    key: str
    label: str
    state: JobState
    records: tuple[Any, ...]
    result: Any
    error: str
    version: int
    owners: frozenset[str]
    seconds: float
    ahead: tuple[str, ...]

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ACTIVE
