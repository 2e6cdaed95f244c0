from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from app.jobs.job import JobState
from app.measured import serving as serving_module
from app.measured.serving import PEERS, SWEEP, Progress, best_measured, points_of, serving_key
from app.studio import Studio
from sparcode.comparison import training as training_module
from sparcode.comparison.measuring import TimingPlan
from sparcode.comparison.peers import SPARCODE
from tests.app.open_studio import settled
from tests.fakes import raising
from tests.tiny import CONFIG, changed, tiny_data

PATIENCE = 30
SMALL = changed(quantizer={"codebook_size": 4, "n_nearest": 2, "kmeans_iterations": 3}, training={"joint_epochs": 0})


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """One with a finished preview of `SMALL`, and nothing under way."""
    monkeypatch.setattr(serving_module, "PLAN", TimingPlan(n_queries=3, rounds=2))
    opened = Studio(tiny_data(), changed(training={"joint_epochs": 0}))
    settled(opened, SMALL)
    for key in opened.jobs.running():
        # The curve is known, but thresholds are still being timed.
        opened.jobs.wait(key, lambda job: False, PATIENCE)
    yield opened
    opened.close()


def ended(studio: Studio) -> JobState:
    return studio.jobs.wait(serving_key(SMALL), lambda job: False, PATIENCE).state


def test_a_measurement_publishes_its_way_and_is_kept_with_its_labels(studio: Studio) -> None:
    studio.serving.start(SMALL, "ann")
    assert ended(studio) is JobState.DONE
    job, result = studio.serving.job(SMALL), studio.serving.result(SMALL)
    assert [point.label for point in points_of(job)] == [point.label for point in result.points]
    assert list(dict.fromkeys(point.name for point in result.points)) == [peer.name for peer in PEERS]
    assert [point.name for point in result.points].count(SPARCODE) == len(SWEEP.densities)
    assert {point.n_rounds for point in result.points} == {2}
    assert (result.kind, result.config, result.data_name) == ("preview", SMALL, studio.interactions.name)
    assert result.config.training.seed == CONFIG.training.seed
    assert "cores" in result.machine
    steps = [record for record in job.records if isinstance(record, Progress)]
    assert list(dict.fromkeys(step.step for step in steps)) == [
        "Training two-tower", "Building the indexes", "Measuring recall", "Timing in turn",
    ]  # fmt: skip
    assert all(0 <= step.done <= step.total for step in steps)
    assert steps[-1].done == steps[-1].total
    assert not result.busy


def test_two_tower_is_trained_once_for_all_measurements(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.serving.start(SMALL, "ann")
    ended(studio)
    monkeypatch.setattr(training_module, "train_two_tower", lambda *arguments: 1 / 0)
    studio.serving.start(SMALL, "ann")
    assert ended(studio) is JobState.DONE


def test_a_cancelled_measurement_keeps_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    measure = serving_module.measure_in_turn

    def held(*arguments: object) -> Iterator[object]:
        for point in measure(*arguments):
            yield point
            reached.set()
            assert go_on.wait(PATIENCE)

    monkeypatch.setattr(serving_module, "measure_in_turn", held)
    key = studio.serving.start(SMALL, "ann").key
    assert reached.wait(PATIENCE)
    assert not studio.jobs.cancel(key, "bob")
    assert studio.jobs.cancel(key, "ann")
    go_on.set()
    assert ended(studio) is JobState.CANCELLED
    assert studio.serving.result(SMALL) is None


def test_an_error_is_kept_in_words(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "measure_in_turn", raising(ValueError("no memory for the graph")))
    studio.serving.start(SMALL, "ann")
    assert ended(studio) is JobState.FAILED
    assert studio.serving.job(SMALL).error == "no memory for the graph"


def test_a_setting_without_an_index_says_so(studio: Studio) -> None:
    other = changed(quantizer={"codebook_size": 8}, training={"joint_epochs": 0})
    studio.serving.start(other, "ann")
    job = studio.jobs.wait(serving_key(other), lambda job: False, PATIENCE)
    assert "there is no whole index of this setting yet" in job.error
    assert best_measured(studio.indexes.all(), other) is None


def test_of_a_setting_the_trained_index_is_measured_also_a_recorded_one(studio: Studio) -> None:
    config = SMALL
    (before,) = [stage for stage in studio.indexes.all() if stage.config == config]
    for trained in (replace(before, kind="fine-tuned"), replace(before, kind="recorded")):
        assert best_measured([before, trained], config) is trained
        assert best_measured([trained, before], config) is trained


def test_figures_made_beside_another_job_are_marked(studio: Studio) -> None:
    opened = threading.Event()
    studio.jobs.submit("other", "something else", lambda handle: opened.wait(PATIENCE), "bob", "previews")
    studio.jobs.wait("other", lambda job: job.state is JobState.RUNNING, PATIENCE)
    studio.serving.start(SMALL, "ann")
    ended(studio)
    opened.set()
    assert studio.serving.result(SMALL).busy
