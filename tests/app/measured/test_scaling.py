from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator

import pytest

from app.jobs.job import JobState
from app.measured import scaling as module
from app.measured.scaling import LARGEST, ScaleProgress, ScaleResult, found_so_far, plan_for, scale_key, sizes_for
from app.studio import Studio
from sparcode.comparison.grown_ways import WAYS
from sparcode.comparison.peers import HNSW
from tests.app.open_studio import ended, settled
from tests.fakes import raising
from tests.tiny import CONFIG, tiny_data

SIZES = (80, 200)


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    opened = Studio(tiny_data(), CONFIG)
    opened.backbones.start(CONFIG, "ann")
    settled(opened, CONFIG)
    yield opened
    opened.close()


def measured(studio: Studio, *sizes: int) -> ScaleResult:
    studio.scaling.start(CONFIG, "ann", sizes)
    job = ended(studio, scale_key(CONFIG))
    assert job.state is JobState.DONE, job.error
    return studio.scaling.result(CONFIG)


def test_sizes_begin_with_the_real_one_and_leave_out_those_near_it() -> None:
    assert sizes_for(1_200) == (1_200, 3_000, 10_000, 30_000, 100_000)
    assert sizes_for(2_500) == (2_500, 10_000, 30_000, 100_000)
    assert sizes_for(200_000) == (200_000,)


def test_only_the_long_measurement_may_build_for_long() -> None:
    assert plan_for(sizes_for(1_200)).ways.max_build_seconds == module.GRAPH_SECONDS
    assert plan_for((LARGEST,)).ways.max_build_seconds == float("inf")


def test_a_measurement_tells_its_points_and_is_kept(studio: Studio) -> None:
    result = measured(studio, *SIZES)
    assert result.sizes == SIZES
    assert {point.name for point in result.points} == set(WAYS)
    assert result.n_items == 80
    assert result.n_lists == studio.indexes.best(CONFIG).explorer.index.n_lists
    assert result.expected_seconds(400) == pytest.approx(2 * result.seconds[200], rel=0.2)
    # The ladder left the largest graph out; a larger catalogue would have one.
    graph = result.points[0]._replace(name=HNSW, n_items=SIZES[0], build_seconds=10.0)
    told = result._replace(points=(graph,), seconds={SIZES[0]: 11.0, 200: 3.0})
    assert told.expected_seconds(2000) == pytest.approx(3 * 10 + 10 * (2000 / SIZES[0]) ** 1.15)
    job = studio.scaling.job(CONFIG)
    assert found_so_far(job) == (result.points, result.left_out)
    shares = [record.done for record in job.records if isinstance(record, ScaleProgress)]
    assert shares == sorted(shares)
    assert 0 == shares[0] < shares[-1] <= 1


def test_further_sizes_are_added_to_what_was_measured_here(studio: Studio) -> None:
    first = measured(studio, *SIZES)
    both = measured(studio, 300)
    assert both.sizes == (*SIZES, 300)
    assert both.points[: len(first.points)] == first.points
    assert {point.n_items for point in both.points} == {*SIZES, 300}
    again = measured(studio, 80)
    assert again.sizes == both.sizes
    assert [point for point in again.points if point.n_items == 80] != [point for point in both.points if point.n_items == 80]


def test_a_failed_measurement_keeps_the_one_before(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    before = measured(studio, 80)
    monkeypatch.setattr(module.GrowthMeasurement, "measure", raising(MemoryError("no room for the catalogue")))
    studio.scaling.start(CONFIG, "ann", SIZES)
    assert ended(studio, scale_key(CONFIG)).error == "no room for the catalogue"
    assert studio.scaling.result(CONFIG) is before


def test_before_the_index_is_there_a_measurement_says_so() -> None:
    opened = Studio(tiny_data(), CONFIG)
    try:
        opened.scaling.start(CONFIG, "ann", SIZES)
        assert "no whole index of this setting yet" in ended(opened, scale_key(CONFIG)).error
        assert opened.scaling.result(CONFIG) is None
    finally:
        opened.close()


def test_a_barely_tuned_model_is_called_a_preview_and_its_points_stay_apart(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    first = measured(studio, *SIZES)
    tuned = dataclasses.replace(studio.indexes.best(CONFIG), kind="fine-tuned", cut_short=True, records=())
    assert tuned.is_barely_tuned
    monkeypatch.setattr(studio.scaling, "_seen_indexes", lambda: [tuned])
    of_tuned = measured(studio, 80)
    assert of_tuned.kind == "preview"
    assert of_tuned.n_lists == first.n_lists
    assert of_tuned.sizes == (80,)


def test_a_small_measurement_here_does_not_hide_a_wider_recorded_one(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    here = measured(studio, *SIZES)
    recorded = here._replace(seconds={80: 1.0, 10_000: 9.0})
    monkeypatch.setattr(studio.scaling, "_recorded", lambda config: recorded)
    assert studio.scaling.widest(CONFIG) is recorded
    assert studio.scaling.result(CONFIG) is here
    monkeypatch.setattr(studio.scaling, "_recorded", lambda config: here._replace())
    assert studio.scaling.widest(CONFIG) is here


def test_a_result_keeps_the_load_of_the_machine_less_its_own_threads(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    n_cores = os.cpu_count() or 1
    before_and_after = iter([(0.5 * n_cores, 0, 0), (400.0 * n_cores, 0, 0)])
    monkeypatch.setattr(os, "getloadavg", lambda: next(before_and_after))
    result = measured(studio, 80)
    # As many threads as cores are its own; more than at the measurements before, which it is added to.
    assert result.load == 399.0
    assert result.load_words.startswith("beside other work (load 399.0 per core, more than 0.75)")
    assert result._replace(load=0.75).load_words == ""
    assert result._replace(load=float("nan")).load_words == "at a load of the machine that is not known"
