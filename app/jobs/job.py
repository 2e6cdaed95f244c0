"""A background job: where it stands, what is known of it, and what its work may do while it runs."""

from __future__ import annotations

from collections.abc import Callable
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
        Where it stands; cancelled as soon as it is asked to stop, though its worker may still end a step.
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
        Labels of the jobs that this one waits for, none unless queued.
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
    """What the work may do: publish records, and ask whether to stop.

    Parameters
    ----------
    publish
        Takes one immutable record.
    should_stop
        Whether the job was cancelled.
    """

    def __init__(self, publish: Callable[[Any], None], should_stop: Callable[[], bool]) -> None:
        self.publish = publish
        self.should_stop = should_stop

    def check(self) -> None:
        """End the work here if the job was cancelled.

        Raises
        ------
        JobCancelled
            If it was.
        """
        if self.should_stop():
            raise JobCancelled


Work = Callable[[JobHandle], Any]
