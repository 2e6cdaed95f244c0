from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.snapshot import JobState
from app.measured.view import View
from app.models.backbones import backbone_key
from app.studio import COMPARISON_KEY, Studio, tuning_key
from tests.tiny import CONFIG, changed, tiny_data
from tests.tiny_recording import OTHER, opened, tiny_recording

# Only a broken studio lets a wait take this long.
PATIENCE = 30


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    made = Studio(tiny_data(), CONFIG, opened(tiny_recording(tmp_path)))
    yield made
    made.close()


def at_rest(studio: Studio, config: object = CONFIG) -> View:
    """The view once nothing of it changes any more."""
    for _ in range(20):
        view = studio.view(config, "ann", PATIENCE)
        if not view.active:
            return view
        for job in (view.waiting, view.tuning):
            if job is not None and job.active:
                studio.jobs.wait(job.key, lambda snapshot: False, PATIENCE)
    raise AssertionError("the view does not come to rest")


@pytest.mark.parametrize("config", [CONFIG, OTHER])
def test_a_recorded_setting_is_measured_here_and_nothing_is_trained(studio: Studio, config: object) -> None:
    stage = at_rest(studio, config).stage
    assert (stage.kind, stage.is_preview, stage.finished) == ("recorded", False, True)
    assert stage.recording == studio.recorded.recording
    assert stage.latencies()
    assert studio.best_measured(config) is stage
    # Made for nobody, a preview would only come later than the recorded model's own figures.
    assert studio.seen_indexes() == [stage]
    assert studio.jobs.get(tuning_key(config)) is None
    assert studio.jobs.get(backbone_key(config)) is None


def test_another_setting_starts_from_the_recorded_backbone(studio: Studio) -> None:
    config = changed(quantizer={"codebook_size": 5})
    view = at_rest(studio, config)
    assert (view.stage.kind, view.preview.kind, view.stage.recording) == ("fine-tuned", "preview", None)
    assert studio.jobs.get(backbone_key(config)) is None


def test_a_recorded_model_can_be_trained_anew_here(studio: Studio) -> None:
    before = at_rest(studio).stage
    assert studio.train_here(CONFIG, "ann").label.endswith("for all 3 epochs")
    job = studio.jobs.wait(tuning_key(CONFIG), lambda snapshot: False, PATIENCE)
    assert job.state is JobState.DONE, job.error
    after = at_rest(studio).stage
    assert (before.kind, after.kind, after.recording) == ("recorded", "fine-tuned", None)


def test_the_recorded_comparison_is_there_until_it_is_measured_here(studio: Studio) -> None:
    assert studio.comparison.recording == studio.recorded.recording
    studio.start_comparison("ann")
    job = studio.jobs.wait(COMPARISON_KEY, lambda snapshot: False, PATIENCE)
    assert job.state is JobState.DONE, job.error
    assert studio.comparison.recording is None
    trained = {row.name: row.trained for row in studio.comparison.rows}
    assert trained["SparCode"] == trained["all-to-all"] == studio.recorded.recording
    assert trained["two-tower"] is None


def test_the_recorded_training_stands_for_owners_without_one_and_behind_those_of_others(studio: Studio) -> None:
    session = studio.from_scratch
    view = session.view("ann")
    assert (view.job, view.plan.name, view.active) == (None, "recorded", False)
    assert view.result == session.recorded.result
    assert view.baseline
    session.start("ann", session.shelf.own(), CONFIG, two_tower=False)
    key = session.view("ann").job.key
    studio.jobs.wait(key, lambda snapshot: False, PATIENCE)
    view = session.view("ann")
    assert view.plan.number == 1
    assert [run.plan.name for run in view.earlier] == ["recorded"]
    session.forget_earlier("ann")
    assert [run.plan.name for run in session.view("ann").earlier] == ["recorded"]
    assert session.view("bob").plan.name == "recorded"
