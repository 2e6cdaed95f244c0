"""A background job: its state as pages see it, in words too, and the handle its work uses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any, NamedTuple

from sparcode.training.epoch_record import EpochRecord


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
        Cancelled as soon as it is asked to stop, though its worker may still finish a step. Queued also after it waited aside, until its
        lane is free again.
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
    deserted
        Whether it was cancelled because all its owners had left.
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
    deserted: bool

    @property
    def active(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ACTIVE


class JobCancelled(Exception):
    """Raised by work that was asked to stop and has nothing to return."""


class JobHandle:
    """What the work of a job uses: `publish` one immutable record, ask whether it `should_stop`, and wait `aside`, out of others' way.

    `rests` says whether the job waits for others to end, in its lane: it then does not count as running.
    """

    def __init__(
        self,
        publish: Callable[[Any], None],
        should_stop: Callable[[], bool],
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
        rests: Callable[[bool], None] = lambda rests: None,
    ) -> None:
        self.publish = publish
        self.should_stop = should_stop
        self.aside = aside
        self.rests = rests

    def check(self) -> None:
        """Raise JobCancelled if the job was cancelled."""
        if self.should_stop():
            raise JobCancelled


Work = Callable[[JobHandle], Any]


def epochs_of(job: JobSnapshot | None) -> list[EpochRecord]:
    """The epochs a job has published, oldest first."""
    return [] if job is None else [record for record in job.records if isinstance(record, EpochRecord)]


def status_text(job: JobSnapshot, total_epochs: int | None = None) -> str:
    """One sentence on where a job stands; `total_epochs` it may train at most, None where something else ends it."""
    label = job.label[0].upper() + job.label[1:]
    if job.state is JobState.QUEUED:
        return f"Waiting for its turn, behind: {', '.join(job.ahead)}." if job.ahead else "About to start."
    if job.state is JobState.FAILED:
        return f"{label} ended with an error: {job.error}"
    if job.state is JobState.CANCELLED:
        return f"{label} ended, because all its tabs were closed." if job.deserted else f"{label} was cancelled."
    epochs = epochs_of(job)
    if job.state is JobState.RUNNING and epochs and (total_epochs is None or epochs[-1].epoch < total_epochs):
        most = "" if total_epochs is None else f" of at most {total_epochs}"
        return f"{label}: epoch {epochs[-1].epoch}{most}, {job.seconds:.0f} s."
    return f"{label}: {job.seconds:.0f} s."
