from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.jobs.job import JobCancelled
from app.measured import measured_index as measured_index_module
from app.measured.curve import Curve
from app.measured.measured_index import LEAST_EPOCHS, MeasuredIndex, measure, refine, time_stops
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from tests.app.open_studio import FACTS, go_on, measured
from tests.tiny import CONFIG, changed, tiny_index, tiny_model, tiny_split


@pytest.fixture(scope="module")
def stage() -> MeasuredIndex:
    return measured()[-1]


@pytest.mark.parametrize("stop", [0, KEPT_PERCENTS.index(DEFAULT_PERCENT), 70, len(KEPT_PERCENTS) - 1])
def test_figures_are_those_of_a_retriever_at_the_same_threshold(stage: MeasuredIndex, stop: int) -> None:
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


@pytest.mark.parametrize(
    ("n_epochs", "cut_short", "words"),
    [
        (1, False, "1 epoch"),
        (2, True, "best of the 2 epochs that fit, which is fewer than the 3 that count as fine-tuning"),
        (3, False, "best of 3 epochs"),
        (3, True, "best of the 3 epochs that fit"),
    ],
)
def test_epochs_are_counted_in_words(stage: MeasuredIndex, n_epochs: int, cut_short: bool, words: str) -> None:
    assert replace(stage, records=(None,) * (n_epochs + 1), cut_short=cut_short).training_text == words


@pytest.mark.parametrize(("n_epochs", "cut_short", "called"), [(2, True, "preview"), (3, True, "fine-tuned"), (1, False, "fine-tuned")])
def test_a_fine_tuning_that_the_clock_ended_early_is_called_a_preview(
    stage: MeasuredIndex, n_epochs: int, cut_short: bool, called: str
) -> None:
    # Where the settings have fewer epochs than count as fine-tuning, all of them do.
    assert (CONFIG.training.joint_epochs, stage.least_epochs) == (3, 3)
    tuned = replace(stage, kind="fine-tuned", records=(None,) * (n_epochs + 1), cut_short=cut_short)
    assert (tuned.called, tuned.n_epochs, tuned.is_preview) == (called, n_epochs, False)
    many = replace(tuned, config=changed(training={"joint_epochs": 30}))
    assert (many.called, many.least_epochs) == ("preview" if cut_short else "fine-tuned", LEAST_EPOCHS)


def test_the_first_stages_know_less_and_the_last_one_has_a_coarse_curve() -> None:
    first, last = measured()
    assert (first.complete, first.presentable, first.finished) == (True, False, False)
    assert (last.complete, last.presentable, last.finished) == (True, True, False)
    assert last.curve.stops[[0, -1]].tolist() == [0, len(KEPT_PERCENTS) - 1]


def test_a_refined_curve_holds_every_stop_and_the_figures_of_each(stage: MeasuredIndex) -> None:
    kept: list[MeasuredIndex] = []
    whole = refine(stage, kept.append, go_on)
    assert whole is kept[-1]
    assert whole.finished
    assert whole.curve.stops.tolist() == list(range(len(KEPT_PERCENTS)))
    assert [len(part.curve.stops) for part in kept] == sorted({len(part.curve.stops) for part in kept})
    for stop in (0, 5, 16, 90):
        point = stage.point(stop)
        row = [column[stop] for column in whole.curve[1:9]]
        accuracy = (point.recall, point.ndcg, point.precision)
        assert row == [point.tau, point.density, *accuracy, point.total_bytes, point.kept_postings, point.short_results]
        assert whole.curve.median_length[stop] == np.median(point.list_lengths)
        assert whole.curve.lengths[stop].sum() == tiny_index().n_lists


def test_refining_measures_no_stop_twice(stage: MeasuredIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    at = stage.explorer.at
    monkeypatch.setattr(stage.explorer, "at", lambda tau: asked.append(tau) or at(tau))
    whole = refine(stage, lambda part: None, go_on)
    assert len(asked) == len(KEPT_PERCENTS) - len(stage.curve.stops)
    asked.clear()
    assert refine(whole, lambda part: None, go_on) is whole
    assert not asked


def test_a_large_model_is_shown_first_by_the_lists_its_test_queries_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured_index_module, "FIRST_LOOK_CODES", 3)
    look, *_, whole = measured()
    assert not look.complete
    # Timed among the lists of the test queries alone, a query would seem faster than it is.
    assert (look.latency(0, busy=False), look.latencies()) == (None, {})
    used = np.unique(tiny_model().encode(tiny_split().test.queries)[0])
    assert np.array_equal(look.explorer.index.codes, used)
    assert whole.explorer.index.n_lists > len(used)
    tau = max(look.explorer.default_threshold, whole.explorer.default_threshold)
    # Accuracy is exact already: the test queries ask for no other lists.
    assert look.explorer.at(tau)[2:5] == whole.explorer.at(tau)[2:5]


def test_work_that_is_stopped_hands_out_nothing_more() -> None:
    kept: list[MeasuredIndex] = []

    def stop_after_the_first() -> None:
        if kept:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        measure(tiny_model(), FACTS, tiny_split(), kept.append, stop_after_the_first)
    assert len(kept) == 1


def test_points_are_kept_and_a_stage_says_where_it_comes_from(stage: MeasuredIndex) -> None:
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
    assert alone.latency.n_calls == min(measured_index_module.TIMED_CALLS, len(tiny_split().test.queries))


def test_a_curve_stays_in_order_of_its_stops(stage: MeasuredIndex) -> None:
    points = {stop: stage.point(stop) for stop in (50, 3)}
    curve = Curve.empty().with_points(points, 80).with_points({20: stage.point(20)}, 80)
    assert curve.stops.tolist() == [3, 20, 50]
    assert curve.recall.tolist() == [stage.point(stop).recall for stop in (3, 20, 50)]


def test_latency_is_known_where_it_was_measured_and_nowhere_else() -> None:
    stage = measured()[-1]
    assert stage.latencies() == {}
    stage.latency(7, busy=False)
    time_stops(stage, lambda: True, go_on)
    known = stage.latencies()
    assert list(known) == sorted({7, KEPT_PERCENTS.index(DEFAULT_PERCENT), len(KEPT_PERCENTS) - 1, *range(0, len(KEPT_PERCENTS), 12)})
    assert [stop for stop, timed in known.items() if not timed.busy] == [7]
    assert {timed.latency.threads for timed in known.values()} == {1}


def test_every_stored_score_is_in_the_histogram(stage: MeasuredIndex) -> None:
    scores = tiny_index().scores
    assert stage.scores.counts.sum() == len(scores)
    above = stage.scores.edges[30]
    assert stage.scores.counts[30:].sum() == (scores >= above).sum()


@pytest.mark.parametrize("scores", [[], [2.0], [-1.0, 0.5]])
def test_few_scores_make_a_histogram_too(scores: list[float]) -> None:
    made = measured_index_module._histogram(np.array(scores, dtype=np.float32))
    assert made.counts.sum() == len(scores)


def curve_of(recall: list[float], size_bytes: list[int]) -> Curve:
    n = len(recall)
    empty = Curve.empty()
    return empty._replace(stops=np.arange(n) * 3, recall=np.array(recall), size_bytes=np.array(size_bytes))


def test_the_best_recall_under_a_budget_is_found_and_none_where_nothing_fits() -> None:
    curve = curve_of([0.5, 0.5, 0.4], [90, 60, 10])
    assert (curve.best_under(100), curve.best_under(59), curve.best_under(10), curve.best_under(9)) == (3, 6, 6, None)


def test_the_smallest_index_near_the_best_is_found_and_none_where_nothing_is_found() -> None:
    curve = curve_of([0.5, 0.496, 0.497, 0.4], [90, 60, 60, 10])
    assert [curve.smallest_within(share) for share in (1.0, 0.99, 0.8, 0.1)] == [0, 6, 9, 9]
    assert curve_of([0.0, 0.0], [90, 60]).smallest_within(0.99) is None
    assert Curve.empty().smallest_within(0.99) is None
