from __future__ import annotations

from app.explorer.run_table import equal_epochs_note, table_rows
from app.measured.figures import Figures
from app.session.configuration import Configuration
from app.session.run_history import RunHistory


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
