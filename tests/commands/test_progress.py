from __future__ import annotations

import io

import pytest

from sparcode.commands.progress import Progress
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


@pytest.mark.parametrize(("stream", "quiet"), [(io.StringIO(), False), (Terminal(), True)])
def test_scripts_and_quiet_people_see_nothing(stream: io.StringIO, quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(stream, quiet, monkeypatch) == ""
