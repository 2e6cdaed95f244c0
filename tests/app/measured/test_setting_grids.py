from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.jobs.job import JobState
from app.measured import setting_grids
from app.measured.setting_grids import GRID, PLACES, GridProgress, grid_key, progress_of
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from app.session.settings import CODEBOOK_SIZE, CODEBOOKS, NEAREST_CODES
from app.studio import Studio
from sparcode.comparison import setting_grid
from sparcode.comparison.setting_grid import Grid
from tests.app.open_studio import ended, looked_at
from tests.fakes import raising
from tests.tiny import CONFIG, changed, tiny_data

SMALL = Grid((1, 2), (4, 6), (1, 4))


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setattr(setting_grids, "GRID", SMALL)
    made = Studio(tiny_data(), CONFIG)
    yield made
    made.close()


def test_every_point_of_the_grid_can_be_opened() -> None:
    for values, setting in zip(GRID[:3], (CODEBOOKS, CODEBOOK_SIZE, NEAREST_CODES), strict=True):
        assert {str(value) for value in values} <= set(setting.options)
    assert KEPT_PERCENTS.index(DEFAULT_PERCENT) not in PLACES
    assert PLACES[0] == 0


def test_a_search_measures_all_settings_and_tells_how_far_it_is(studio: Studio) -> None:
    studio.grids.start(CONFIG, "ann")
    job = ended(studio, grid_key(CONFIG))
    assert job.state is JobState.DONE
    assert progress_of(job) == GridProgress(8, 8)
    found = studio.grids.found(CONFIG)
    assert found.left_out == 0
    assert len(found.points) == 8 * len(PLACES)
    assert {point.place for point in found.points} == set(PLACES)


def test_a_point_is_what_the_explorer_measures_of_the_preview(studio: Studio) -> None:
    studio.grids.start(CONFIG, "ann")
    ended(studio, grid_key(CONFIG))
    point = next(p for p in studio.grids.found(CONFIG).points if p[:4] == (2, 6, 4, PLACES[3]))
    preview = looked_at(studio, changed(quantizer={"n_codebooks": 2, "codebook_size": 6, "n_nearest": 4})).preview
    assert point.size_bytes == preview.point(PLACES[3]).total_bytes


def test_settings_that_differ_in_codes_only_share_a_search(studio: Studio) -> None:
    other = changed(quantizer={"n_codebooks": 1, "codebook_size": 5, "n_nearest": 1})
    assert grid_key(other) == grid_key(CONFIG)
    assert grid_key(changed(training={"seed": 1})) != grid_key(CONFIG)
    assert studio.grids.found(other) is None
    studio.grids.start(other, "ann")
    ended(studio, grid_key(CONFIG))
    assert studio.grids.found(CONFIG).points


def test_a_failed_search_has_found_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_grid, "build_index", raising(MemoryError("too large")))
    studio.grids.start(CONFIG, "ann")
    assert ended(studio, grid_key(CONFIG)).state is JobState.FAILED
    assert studio.grids.found(CONFIG) is None
