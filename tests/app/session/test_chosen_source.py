from __future__ import annotations

import pytest

from app.measured.run_export import evaluate_command
from app.session import loaders
from app.session.chosen_data import DATA_VARIABLE


@pytest.mark.parametrize(
    ("chosen", "data"),
    [
        ("", " --data ratings.csv"),
        ("standard", ""),
        ("small", " --synthetic-n-users 600 --synthetic-n-items 400"),
        ("ml-1m", " --data ml-1m"),
        ("upload", " --data YOUR_DATA.csv"),
        ("run.mine", " --data YOUR_DATA.csv"),
    ],
)
def test_the_command_names_the_data_that_is_shown(chosen: str, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_VARIABLE, "/srv/data/ratings.csv")
    monkeypatch.setattr(loaders, "chosen_data", lambda: chosen)
    monkeypatch.setattr(loaders, "chosen_run", lambda: "mine" if chosen == "run.mine" else "")
    assert evaluate_command("a-b", 0.5, *loaders.chosen_source()) == f"sparcode evaluate a-b --threshold 0.5{data}"
