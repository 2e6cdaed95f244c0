"""A background job: its state as pages see it, and the handle its work uses."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple


class JobState(StrEnum):
    """The state of a job."""

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
    state
        Cancelled as soon as it is asked to stop, though its worker may still finish a step.
    records
        Everything published so far, oldest first.
    result, error
        What the work returned, None until it is done; text of the exception that ended it, else empty.
    version
        Grows with every change.
    owners
        Who asked for it and still wants it.
    seconds
        Time at work so far; 0 while queued.
    ahead
        Labels of the jobs that this one waits for; empty unless queued.
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


class JobCancelled(Exception):
    """Raised by work that was asked to stop and has nothing to return."""


class JobHandle:
    """What the work of a job uses: `publish` one immutable record, and ask whether it `should_stop`."""

    def __init__(self, publish: Callable[[Any], None], should_stop: Callable[[], bool]) -> None:
        self.publish = publish
        self.should_stop = should_stop

    def check(self) -> None:
        """Raise JobCancelled if the job was cancelled."""
        if self.should_stop():
            raise JobCancelled


Work = Callable[[JobHandle], Any]
