from __future__ import annotations

from app.components.first_visit import seconds_left
from app.jobs.job import JobSnapshot, JobState
from sparcode.training.epoch_record import EpochRecord


def test_what_is_left_of_a_training_follows_from_its_pace() -> None:
    def job(*epochs: int, state: JobState = JobState.RUNNING) -> JobSnapshot:
        records = tuple(EpochRecord(epoch, 1.0, 0.0, 0.5, 1.0, 0.0, 3, 0, 1.0, False) for epoch in epochs)
        return JobSnapshot("key", "training", state, records, None, "", 1, frozenset(), 8.0, (), False)

    assert "at most 72 s are left" in seconds_left(job(0, 1, 2), 20)
    assert seconds_left(job(0), 20) == seconds_left(job(), 20) == seconds_left(job(0, 1, state=JobState.FAILED), 20) == ""
