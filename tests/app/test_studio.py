from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.job import JobState
from app.measured.setting_jobs import tuning_key
from app.models import backbones as backbones_module
from app.models import tuned as tuned_module
from app.models.backbones import backbone_key
from app.models.tuned import fine_tune_within
from app.studio import COMPARISON_KEY, Studio
from sparcode.comparison.peers import SPARCODE
from sparcode.index.pruning import KeepDensity
from tests.app.open_studio import ended, settled, tuned_in_part
from tests.fakes import PATIENCE, gated
from tests.tiny import CONFIG, changed, tiny_data
from tests.tiny_recording import OTHER, opened, tiny_recording


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    made = Studio(tiny_data(), CONFIG, opened(tiny_recording(tmp_path)))
    yield made
    made.close()


@pytest.mark.parametrize("config", [CONFIG, OTHER])
def test_a_recorded_setting_is_measured_here_and_nothing_is_trained(studio: Studio, config: object) -> None:
    stage = settled(studio, config).measured
    assert (stage.kind, stage.is_preview, stage.finished) == ("recorded", False, True)
    assert stage.recording == studio.recorded.recording
    assert stage.latencies()
    assert studio.indexes.best(config) is stage
    # Made for nobody, a preview would only come later than the recorded model's own figures.
    assert studio.indexes.all() == [stage]
    assert studio.jobs.get(tuning_key(config)) is None
    assert studio.jobs.get(backbone_key(config)) is None


def test_another_setting_starts_from_the_recorded_backbone(studio: Studio) -> None:
    config = changed(quantizer={"codebook_size": 5})
    view = settled(studio, config)
    assert (view.measured.kind, view.preview.kind, view.measured.recording) == ("fine-tuned", "preview", None)
    assert studio.jobs.get(backbone_key(config)) is None


def test_a_recorded_model_can_be_trained_anew_here(studio: Studio) -> None:
    before = settled(studio, CONFIG).measured
    assert studio.setting_jobs.start_tuning(CONFIG, "ann", full=True, anew=True).label.endswith("for all 3 epochs")
    assert ended(studio, tuning_key(CONFIG)).state is JobState.DONE
    after = settled(studio, CONFIG).measured
    assert (before.kind, after.kind, after.recording) == ("recorded", "fine-tuned", None)


def test_a_recorded_model_stays_until_the_one_trained_anew_is_there(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    before, reached, opened_gate = settled(studio, CONFIG).measured, threading.Event(), threading.Event()

    def held(*arguments: object) -> object:
        reached.set()
        return gated(fine_tune_within, opened_gate)(*arguments)

    monkeypatch.setattr(tuned_module, "fine_tune_within", held)
    studio.setting_jobs.start_tuning(CONFIG, "ann", full=True, anew=True)
    assert reached.wait(PATIENCE)
    assert studio.tuned.of(CONFIG).recording is not None
    studio.setting_jobs.cancel_tuning(CONFIG, "ann")
    opened_gate.set()
    assert settled(studio, CONFIG).measured is before
    assert studio.tuned.of(CONFIG).recording is not None


def test_the_recorded_comparison_is_there_until_it_is_measured_here(studio: Studio) -> None:
    assert studio.serving.result(CONFIG).recording is not None
    studio.start_comparison("ann")
    assert ended(studio, COMPARISON_KEY).state is JobState.DONE
    measured = studio.serving.result(CONFIG)
    assert (measured.recording, measured.kind) == (None, "recorded")


def test_the_recorded_training_stands_for_owners_without_one_and_behind_those_of_others(studio: Studio) -> None:
    session, before = studio.from_scratch, studio.own_training
    view = session.view("ann", before)
    assert (view.job, view.plan.name, view.active) == (None, "recorded", False)
    assert view.result == before.result
    assert view.baseline
    session.start("ann", session.shelf.own(), CONFIG, two_tower=False)
    ended(studio, session.view("ann").job.key)
    view = session.view("ann", before)
    assert view.plan.number == 1
    assert [run.plan.name for run in view.earlier] == ["recorded"]
    session.forget_earlier("ann")
    assert [run.plan.name for run in session.view("ann", before).earlier] == ["recorded"]
    assert session.view("bob", before).plan.name == "recorded"


def test_the_comparison_trains_all_epochs_and_the_explorer_takes_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_module, "fine_tune_within", tuned_in_part)
    studio = Studio(tiny_data(), changed(quantizer={"codebook_size": 4}))
    assert settled(studio, studio.config).measured.cut_short
    studio.start_comparison("ann")
    assert ended(studio, COMPARISON_KEY).state is JobState.DONE
    shown = settled(studio, studio.config).measured
    assert not shown.cut_short
    points = {point.label: point for point in studio.serving.result(studio.config).points}
    at_20 = KeepDensity(0.2, shown.explorer.model.first_list_code).threshold(shown.explorer.index)
    assert points[f"{SPARCODE}, 20% of scores"].recall == shown.explorer.at(at_20).recall
    studio.close()


def test_a_comparison_without_a_backbone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
    studio = Studio(tiny_data(), CONFIG)
    studio.start_comparison("ann")
    assert "backbone was not trained" in ended(studio, COMPARISON_KEY).error
    studio.close()
