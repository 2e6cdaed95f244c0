from __future__ import annotations

import numpy as np
import pytest

from sparcode.data.split import EvaluationSet
from sparcode.metrics.evaluation import Explorer, accuracy, evaluate
from sparcode.metrics.ranking import ndcg_at_k, precision_at_k, recall_at_k
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel, checkerboard, checkerboard_queries
from tests.tiny import CONFIG, tiny_index, tiny_model, tiny_split

K = 10


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(tiny_model(), tiny_index(), tiny_split().test, tiny_split().train, K)


def test_a_certain_answer_has_recall_one() -> None:
    queries, answers = checkerboard_queries(12)
    targets = type(queries).from_lists([[int(item)] for item in answers], 12)
    model = TableModel(checkerboard(12))
    found = accuracy(ExactRetriever(SparseDirectScorer(model, 0.0)), EvaluationSet(queries, targets, np.arange(12)), 1)
    assert found == (1.0, 1.0, 1.0)


def test_figures_are_means_of_the_metrics() -> None:
    test = tiny_split().test
    retriever = SparseRetriever(tiny_model(), tiny_index(), tiny_model().threshold)
    result = evaluate(retriever, test, K, n_timed=5)
    item_ids = retriever.retrieve(test.queries, K).item_ids
    expected = [float(np.nanmean(measure(item_ids, test.targets, K))) for measure in (recall_at_k, ndcg_at_k, precision_at_k)]
    assert [result.recall, result.ndcg, result.precision] == expected
    assert (result.k, result.n_queries) == (K, len(test.users))
    assert result.size_bytes == retriever.size_bytes()
    assert 0 < result.latency.p50_ms <= result.latency.p95_ms <= result.latency.p99_ms


def test_a_point_is_what_a_retriever_at_that_threshold_gives(explorer: Explorer) -> None:
    test = tiny_split().test
    for tau in np.quantile(tiny_index().scores, [0, 0.3, 0.9, 1]).tolist():
        point, retriever = explorer.at(tau), SparseRetriever(tiny_model(), tiny_index(), tau)
        assert (point.recall, point.ndcg, point.precision) == accuracy(retriever, test, K)
        assert point.size_bytes == tiny_index().size_bytes(tau)
        assert point.total_bytes == sum(point.size_bytes.values())
        assert point.kept_postings == point.list_lengths.sum() == (tiny_index().scores > tau).sum()
        assert point.density == pytest.approx(tiny_index().density(tau))
        assert point.short_results == (retriever.retrieve(test.queries, K).item_ids[:, -1] < 0).sum()


def test_below_the_floor_nothing_is_made_up(explorer: Explorer) -> None:
    with pytest.raises(ValueError, match="floor"):
        explorer.at(tiny_index().floor - 1e-3)


def test_usage_counts_every_assignment_of_the_training_queries(explorer: Explorer) -> None:
    usage, config = explorer.usage, CONFIG.quantizer
    codes = tiny_model().encode(tiny_split().train)[0]
    assert usage.counts.shape == (config.n_codebooks, config.codebook_size)
    assert usage.counts.sum(axis=1).tolist() == [codes.size] * config.n_codebooks
    assert usage.codes_in_use == usage.n_lists == len(np.unique(codes))
    assert usage.possible_codes == config.codebook_size**config.n_codebooks
    assert (usage.dead_share == (usage.counts == 0).mean(axis=1)).all()


def test_latency_is_measured_at_the_threshold_asked_for(explorer: Explorer) -> None:
    assert explorer.latency(explorer.default_threshold, n_calls=4).p50_ms > 0
