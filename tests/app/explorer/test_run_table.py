from __future__ import annotations

from app.explorer.run_table import equal_epochs_note, table_rows
from app.explorer.status import seconds_left
from app.jobs.job import JobSnapshot, JobState
from app.measured.figures import Figures
from app.session.configuration import Configuration
from app.session.run_history import RunHistory
from sparcode.training.epoch_record import EpochRecord


def history_of(*runs: tuple[Configuration, int | None]) -> RunHistory:
    """Runs looked at, with their epochs; None: not measured."""
    history = RunHistory()
    for configuration, epochs in runs:
        history.visit(configuration)
        if epochs is not None:
            history.record(configuration, Figures("fine-tuned", 0.5, 0.1, 10, 5, None, None, 3, 2.0, epochs))
    return history


def test_epochs_stand_in_the_table() -> None:
    history = history_of((Configuration(k="8"), 1), (Configuration(k="16"), 7), (Configuration(k="32"), None))
    assert [row["figures"][0] for row in table_rows(history, None)] == [
        ["not measured", ""],
        ["fine-tuned", "7 epochs"],
        ["fine-tuned", "1 epoch"],
    ]


def test_codes_compared_at_unequal_epochs_are_said_to_be() -> None:
    one, other = Configuration(k="8"), Configuration(k="16")
    assert "3 to 12 epochs of fine-tuning, so M, K and P are not compared" in equal_epochs_note(history_of((one, 3), (other, 12)).runs)
    assert "All runs had 12 epochs" in equal_epochs_note(history_of((one, 12), (other, 12)).runs)
    assert equal_epochs_note(history_of((one, 3), (one._replace(keep="50"), 12)).runs) == ""
    assert equal_epochs_note(history_of((one, 3), (other, None)).runs) == ""


def test_what_is_left_of_a_training_follows_from_its_pace() -> None:
    def job(*epochs: int, state: JobState = JobState.RUNNING) -> JobSnapshot:
        records = tuple(EpochRecord(epoch, 1.0, 0.0, 0.5, 1.0, 0.0, 3, 0, 1.0, False) for epoch in epochs)
        return JobSnapshot("key", "training", state, records, None, "", 1, frozenset(), 8.0, (), False)

    assert "at most 72 s are left" in seconds_left(job(0, 1, 2), 20)
    assert seconds_left(job(0), 20) == seconds_left(job(), 20) == seconds_left(job(0, 1, state=JobState.FAILED), 20) == ""
