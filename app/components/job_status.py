"""The state of a job in words."""

from __future__ import annotations

from app.jobs.job import JobSnapshot, JobState
from sparcode.training.epoch_record import EpochRecord


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
        return f"{label} was cancelled."
    epochs = epochs_of(job)
    if job.state is JobState.RUNNING and epochs and (total_epochs is None or epochs[-1].epoch < total_epochs):
        most = "" if total_epochs is None else f" of at most {total_epochs}"
        return f"{label}: epoch {epochs[-1].epoch}{most}, {job.seconds:.0f} s."
    return f"{label}: {job.seconds:.0f} s."
