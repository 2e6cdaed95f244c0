from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.jobs.job import JobState
from app.measured import setting_grids
from app.measured.front_tuning import FrontProgress, config_of, front_key, front_settings
from app.measured.setting_grids import PLACES, grid_key
from app.measured.setting_jobs import TRAINING, tuning_key
from app.measured.threshold_stops import threshold_stops
from app.models import tuned as tuned_models
from app.studio import Studio
from sparcode.comparison.setting_grid import Grid, GridPoint
from sparcode.metrics.evaluation import Explorer
from sparcode.training.pipeline import build_run_index
from tests.app.open_studio import ended, looked_at, tuned_in_part
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

SETTINGS = [(2, 6, 4), (1, 4, 1)]


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1, 2), (4, 6), (1, 4)))
    made = Studio(tiny_data(), CONFIG)
    ended(made, made.backbones.start(CONFIG, "ann").key)
    yield made
    made.close()


def test_settings_of_the_front_come_once_the_answer_and_what_fits_the_budget_first() -> None:
    points = [
        GridPoint(1, 4, 1, 0, 0.1, 100),
        GridPoint(1, 4, 1, 8, 0.2, 200),
        GridPoint(2, 6, 1, 0, 0.15, 300),
        GridPoint(2, 6, 4, 0, 0.3, 300),
        GridPoint(1, 6, 1, 0, 0.4, 400),
        GridPoint(2, 4, 1, 0, 0.5, 500),
        GridPoint(1, 4, 1, 16, 0.6, 600),
    ]
    assert front_settings(points, None, None) == [(1, 4, 1), (2, 4, 1), (1, 6, 1), (2, 6, 4)]
    # Of one setting several points are on the front; those above the budget do not count for its place.
    assert front_settings(points, None, 300) == [(2, 6, 4), (1, 4, 1), (2, 4, 1), (1, 6, 1)]
    assert front_settings(points, points[4], 450) == [(1, 6, 1), (2, 6, 4), (1, 4, 1), (2, 4, 1)]
    assert front_settings([], None, None) == []


def test_settings_have_the_address_that_the_explorer_gives_them() -> None:
    assert config_of(CONFIG, (1, 4, 1)) == changed(quantizer={"n_codebooks": 1, "codebook_size": 4, "n_nearest": 1})


def test_each_setting_is_trained_for_all_epochs_and_measured_as_the_search_measures(studio: Studio) -> None:
    studio.front.start(CONFIG, SETTINGS, "ann")
    job = ended(studio, front_key(CONFIG))
    assert job.state is JobState.DONE
    found = studio.front.found(CONFIG, [*SETTINGS, (2, 4, 1)])
    assert list(found) == SETTINGS
    for codes, points in found.items():
        config = config_of(CONFIG, codes)
        tuned = studio.tuned.of(config)
        assert (tuned.trained, tuned.cut_short, len(tuned.records)) == (True, False, CONFIG.training.joint_epochs + 1)
        split = tiny_split()
        # Step by step, on the validation users.
        explorer = Explorer(tuned.model, build_run_index(tuned.model, split.train, config.index), split.validation, split.train)
        stops = threshold_stops(explorer.index, explorer.index.floor)
        assert [(point.codes, point.place) for point in points] == [(codes, place) for place in PLACES]
        for point in points:
            there = explorer.at(float(stops[point.place]))
            assert (point.recall, point.size_bytes) == (pytest.approx(there.recall), there.total_bytes)
    told = [record for record in job.records if isinstance(record, FrontProgress)]
    assert [record.codes for record in told] == sorted((record.codes for record in told), key=SETTINGS.index)
    assert max(record.n_epochs for record in told) == CONFIG.training.joint_epochs


def test_it_rests_while_anything_else_runs(studio: Studio) -> None:
    gate = threading.Event()
    studio.jobs.submit("other", "other work", lambda handle: gate.wait(PATIENCE), "bob", TRAINING)
    studio.jobs.wait("other", lambda job: job.state is JobState.RUNNING, PATIENCE)
    studio.front.start(CONFIG, SETTINGS, "ann")
    waiting = studio.jobs.wait(front_key(CONFIG), lambda job: FrontProgress(SETTINGS[0], 0, waits=True) in job.records, PATIENCE)
    assert waiting.active
    # What is timed now is timed beside the other job alone.
    assert studio.at_work() == {"other"}
    assert studio.front.found(CONFIG, SETTINGS) == {}
    gate.set()
    assert ended(studio, front_key(CONFIG)).state is JobState.DONE
    assert list(studio.front.found(CONFIG, SETTINGS)) == SETTINGS


def test_work_that_rests_can_be_stopped(studio: Studio) -> None:
    gate = threading.Event()
    studio.jobs.submit("other", "other work", lambda handle: gate.wait(PATIENCE), "bob", TRAINING)
    studio.jobs.wait("other", lambda job: job.state is JobState.RUNNING, PATIENCE)
    studio.front.start(CONFIG, SETTINGS, "ann")
    studio.jobs.wait(front_key(CONFIG), lambda job: FrontProgress(SETTINGS[0], 0, waits=True) in job.records, PATIENCE)
    assert studio.jobs.cancel(front_key(CONFIG), "ann")
    assert ended(studio, front_key(CONFIG)).state is JobState.CANCELLED
    gate.set()


def test_after_a_stop_it_goes_on_where_it_was(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[int, int, int]] = []
    fine_tune = tuned_models.fine_tune_within

    def noted(model: object, *rest: object) -> object:
        books = model.quantizer.config
        trained.append((books.n_codebooks, books.codebook_size, books.n_nearest))
        if len(trained) == 2:
            studio.jobs.cancel(front_key(CONFIG), "ann")
        return fine_tune(model, *rest)

    monkeypatch.setattr(tuned_models, "fine_tune_within", noted)
    studio.front.start(CONFIG, SETTINGS, "ann")
    assert ended(studio, front_key(CONFIG)).state is JobState.CANCELLED
    assert list(studio.front.found(CONFIG, SETTINGS)) == SETTINGS[:1]
    studio.front.start(CONFIG, SETTINGS, "ann")
    assert ended(studio, front_key(CONFIG)).state is JobState.DONE
    assert trained == [SETTINGS[0], SETTINGS[1], SETTINGS[1]]


def test_figures_of_a_model_that_the_clock_had_ended_are_measured_anew(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(CONFIG, SETTINGS[0])
    with monkeypatch.context() as patched:
        patched.setattr(tuned_models, "fine_tune_within", tuned_in_part)
        looked_at(studio, config)
        studio.setting_jobs.start_tuning(config, "ann")
        ended(studio, tuning_key(config))
    assert studio.indexes.get("fine-tuned", config).cut_short
    studio.front.start(CONFIG, SETTINGS[:1], "ann")
    ended(studio, front_key(CONFIG))
    assert not studio.indexes.get("fine-tuned", config).cut_short


def test_settings_that_differ_in_codes_only_share_a_front() -> None:
    other = config_of(CONFIG, (1, 4, 1))
    assert front_key(other) == front_key(CONFIG)
    assert front_key(CONFIG) == f"front/{grid_key(CONFIG)}"
    assert front_key(changed(training={"seed": 1})) != front_key(CONFIG)
