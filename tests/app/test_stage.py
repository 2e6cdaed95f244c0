from __future__ import annotations

import numpy as np
import pytest

from app import stage as stage_module
from app.jobs import JobCancelled
from app.stage import Curve, Origin, Stage, measure, refine
from app.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from sparcode.evaluation import accuracy
from sparcode.retrieval import ExactRetriever, SparseDirectScorer, SparseRetriever
from tests.tiny import CONFIG, tiny_index, tiny_model, tiny_split

ORIGIN = Origin("preview", CONFIG, (), lambda: 1.5, cut_short=False)


def go_on() -> None:
    """The `check` of work that nobody stops."""


def measured() -> list[Stage]:
    """Every stage that measuring the tiny model hands out."""
    kept: list[Stage] = []
    measure(tiny_model(), ORIGIN, tiny_split(), kept.append, go_on)
    return kept


@pytest.fixture(scope="module")
def stage() -> Stage:
    return measured()[-1]


@pytest.mark.parametrize("stop", [0, KEPT_PERCENTS.index(DEFAULT_PERCENT), 70, len(KEPT_PERCENTS) - 1])
def test_figures_are_those_of_a_retriever_at_the_same_threshold(stage: Stage, stop: int) -> None:
    test = tiny_split().test
    tau = float(stage.stops[stop])
    point = stage.point(stop)
    retriever = SparseRetriever(tiny_model(), tiny_index(), tau)
    assert (point.recall, point.ndcg, point.precision) == accuracy(retriever, test, stage.explorer.k)
    assert point.recall == accuracy(ExactRetriever(SparseDirectScorer(tiny_model(), tau)), test, stage.explorer.k)[0]
    assert point.tau == tau
    assert point.size_bytes == tiny_index().size_bytes(tau)
    assert point.density == tiny_index().density(tau)
    assert np.array_equal(point.list_lengths, tiny_index().list_lengths(tau))


def test_the_first_stages_know_less_and_the_last_one_has_a_coarse_curve() -> None:
    first, last = measured()
    assert (first.complete, first.presentable, first.finished) == (True, False, False)
    assert (last.complete, last.presentable, last.finished) == (True, True, False)
    assert last.curve.stops[[0, -1]].tolist() == [0, len(KEPT_PERCENTS) - 1]


def test_a_refined_curve_holds_every_stop_and_the_figures_of_each(stage: Stage) -> None:
    kept: list[Stage] = []
    whole = refine(stage, kept.append, go_on)
    assert whole is kept[-1]
    assert whole.finished
    assert whole.curve.stops.tolist() == list(range(len(KEPT_PERCENTS)))
    assert [len(part.curve.stops) for part in kept] == sorted({len(part.curve.stops) for part in kept})
    for stop in (0, 5, 16, 90):
        point = stage.point(stop)
        row = [column[stop] for column in whole.curve[1:]]
        assert row == [point.tau, point.density, point.recall, point.ndcg, point.total_bytes]


def test_refining_measures_no_stop_twice(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    at = stage.explorer.at
    monkeypatch.setattr(stage.explorer, "at", lambda tau: asked.append(tau) or at(tau))
    whole = refine(stage, lambda part: None, go_on)
    assert len(asked) == len(KEPT_PERCENTS) - len(stage.curve.stops)
    asked.clear()
    assert refine(whole, lambda part: None, go_on) is whole
    assert not asked


def test_a_large_model_is_shown_first_by_the_lists_its_test_queries_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "FIRST_LOOK_CODES", 3)
    look, *_, whole = measured()
    assert not look.complete
    used = np.unique(tiny_model().encode(tiny_split().test.queries)[0])
    assert np.array_equal(look.explorer.index.codes, used)
    assert whole.explorer.index.n_lists > len(used)
    tau = max(look.explorer.default_threshold, whole.explorer.default_threshold)
    # Accuracy is exact already: the test queries ask for no other lists.
    assert look.explorer.at(tau)[2:5] == whole.explorer.at(tau)[2:5]


def test_work_that_is_stopped_hands_out_nothing_more() -> None:
    kept: list[Stage] = []

    def stop_after_the_first() -> None:
        if kept:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        measure(tiny_model(), ORIGIN, tiny_split(), kept.append, stop_after_the_first)
    assert len(kept) == 1


def test_points_are_kept_and_a_stage_says_where_it_comes_from(stage: Stage) -> None:
    assert stage.point(40) is stage.point(40)
    assert (stage.kind, stage.config, stage.seconds, stage.cut_short) == ("preview", CONFIG, 1.5, False)
    assert stage.n_bytes == sum(array.nbytes for array in (tiny_index().codes, tiny_index().indptr)) + 8 * len(tiny_index().scores)


def test_latency_measured_beside_jobs_is_measured_again_when_they_are_done() -> None:
    stage = measured()[-1]
    beside = stage.latency(20, busy=True)
    assert beside.busy
    assert stage.latency(20, busy=True) is beside
    alone = stage.latency(20, busy=False)
    assert not alone.busy
    assert stage.latency(20, busy=True) is alone
    assert alone.latency.n_calls == min(stage_module.TIMED_CALLS, len(tiny_split().test.queries))


def test_a_curve_stays_in_order_of_its_stops(stage: Stage) -> None:
    points = {stop: stage.point(stop) for stop in (50, 3)}
    curve = Curve.empty().with_points(points).with_points({20: stage.point(20)})
    assert curve.stops.tolist() == [3, 20, 50]
    assert curve.recall.tolist() == [stage.point(stop).recall for stop in (3, 20, 50)]
