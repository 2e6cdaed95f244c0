from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.jobs.job import JobState
from app.measured import serving as serving_module
from app.measured.serving import SWEEP, Progress, best_measured, points_of, serving_key
from app.measured.setting_jobs import TRAINING
from app.models.backbones import Backbones
from app.studio import Studio
from sparcode.baselines.cooccurrence import Cooccurrence
from sparcode.baselines.ease import EASE
from sparcode.comparison import training as training_module
from sparcode.comparison.measuring import TimingPlan
from sparcode.comparison.peers import SEARCHED, SPARCODE
from tests.app import open_studio
from tests.app.open_studio import settled
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, changed, tiny_data

SMALL = changed(quantizer={"codebook_size": 4, "n_nearest": 2, "kmeans_iterations": 3}, training={"joint_epochs": 0})


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """One with a finished preview of `SMALL`, and nothing under way."""
    monkeypatch.setattr(serving_module, "PLAN", TimingPlan(n_queries=3, rounds=2))
    opened = Studio(tiny_data(), changed(training={"joint_epochs": 0}))
    settled(opened, SMALL)
    for key in opened.jobs.running():
        # The curve is known, but thresholds are still being timed.
        open_studio.ended(opened, key)
    yield opened
    opened.close()


def measure(studio: Studio) -> JobState:
    """How a measurement of `SMALL` ends."""
    studio.serving.start(SMALL, "ann")
    return open_studio.ended(studio, serving_key(SMALL)).state


def test_a_measurement_publishes_its_way_and_is_kept_with_its_labels(studio: Studio) -> None:
    assert measure(studio) is JobState.DONE
    job, result = studio.serving.job(SMALL), studio.serving.result(SMALL)
    assert [point.label for point in points_of(job)] == [point.label for point in result.points]
    assert list(dict.fromkeys(point.name for point in result.points)) == [peer.name for peer in SEARCHED]
    assert [point.name for point in result.points].count(SPARCODE) == len(SWEEP.densities)
    assert {point.n_rounds for point in result.points} == {2}
    assert (result.kind, result.config, result.data_name) == ("preview", SMALL, studio.interactions.name)
    assert result.config.training.seed == CONFIG.training.seed
    assert "cores" in result.machine
    steps = [record for record in job.records if isinstance(record, Progress)]
    assert list(dict.fromkeys(step.step for step in steps)) == [
        "Training two-tower", "Building the indexes", "Fitting EASE", "Fitting item co-occurrence", "Measuring recall", "Timing in turn",
    ]  # fmt: skip
    assert all(0 <= step.done <= step.total for step in steps if step.total)
    assert steps[-1].done == steps[-1].total
    assert not result.busy


def test_peers_are_trained_once_for_all_measurements(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(studio)
    monkeypatch.setattr(training_module, "train_two_tower", lambda *arguments: 1 / 0)
    for baseline in (EASE, Cooccurrence):
        monkeypatch.setattr(baseline, "fit", lambda *arguments: 1 / 0)
    assert measure(studio) is JobState.DONE


def test_a_setting_without_an_index_says_so(studio: Studio) -> None:
    other = changed(quantizer={"codebook_size": 8}, training={"joint_epochs": 0})
    studio.serving.start(other, "ann")
    assert "there is no whole index of this setting yet" in open_studio.ended(studio, serving_key(other)).error
    assert best_measured(studio.indexes.all(), other) is None


def test_a_backbone_dropped_from_memory_is_trained_again(studio: Studio) -> None:
    studio.serving._backbones = Backbones(studio.split, studio.jobs, TRAINING)
    assert measure(studio) is JobState.DONE


def test_of_a_setting_the_trained_index_is_measured_also_a_recorded_one(studio: Studio) -> None:
    (before,) = studio.indexes.all()
    for trained in (replace(before, kind="fine-tuned"), replace(before, kind="recorded")):
        assert best_measured([before, trained], SMALL) is trained
        assert best_measured([trained, before], SMALL) is trained


def test_figures_made_beside_another_job_are_marked(studio: Studio) -> None:
    opened = threading.Event()
    studio.jobs.submit("other", "something else", lambda handle: opened.wait(PATIENCE), "bob", "previews")
    studio.jobs.wait("other", lambda job: job.state is JobState.RUNNING, PATIENCE)
    measure(studio)
    opened.set()
    assert studio.serving.result(SMALL).busy
