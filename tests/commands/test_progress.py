from __future__ import annotations

import io

import pytest

from sparcode.commands.progress import Progress, duration
from sparcode.comparison.training import Step
from sparcode.training.epoch_record import EpochRecord


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, quiet: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    with Progress(quiet) as progress:
        progress.on_step(Step("training the backbone", 2))
        for epoch, recall in ((0, 0.1), (1, 0.25), (2, 0.5)):
            progress.on_epoch(EpochRecord(epoch, 1.0, 0.0, recall, 1.0, 0.0, 0, 0, 0.1, False))
        progress.on_step(Step("measuring on the test users"))
    return stream.getvalue()


def test_a_person_sees_stage_epochs_and_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(Terminal(), False, monkeypatch)
    assert "training the backbone" in text
    assert "2/2" in text
    assert "recall=0.5000" in text
    assert "measuring on the test users" in text


def test_a_log_has_a_line_for_every_step_and_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    start, before, first, last, measuring = shown(io.StringIO(), False, monkeypatch).splitlines()
    assert (start, measuring) == ("training the backbone, at most 2 epochs", "measuring on the test users")
    assert before.startswith("training the backbone, epoch 0 of at most 2: validation recall 0.1000, 0.1 s")
    assert first == "training the backbone, epoch 1 of at most 2: validation recall 0.2500, 0.1 s, at most 1 s left"
    assert last == "training the backbone, epoch 2 of at most 2: validation recall 0.5000, 0.1 s"


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (119.5, "120 s"), (121, "3 min"), (3600, "60 min"), (7201, "3 h")])
def test_durations_are_rounded_up(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_quiet_people_see_nothing(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(stream, True, monkeypatch) == ""
