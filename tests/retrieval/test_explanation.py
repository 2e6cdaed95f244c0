from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sparcode.config import RunConfig
from sparcode.data.interactions import Histories
from sparcode.model.query_trace import HEAD, trace_query
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import build_run_index, preview, train_backbone
from tests.model.test_item_lists import with_lists
from tests.model.test_pair_features import config_of, fitted
from tests.tiny import changed, tiny_backbone, tiny_model, tiny_split

N_QUERIES = 1000
KINDS = ("heads", "residual", "history tokens", "item lists", "pair features", "item codes")


@cache
def made(kind: str) -> tuple[SparCodeModel, RunConfig]:
    """A small model of each kind, with its settings."""
    split = tiny_split()
    if kind == "heads":
        return tiny_model(), changed()
    if kind == "residual":
        config = changed(quantizer={"kind": "residual"})
        return preview(tiny_backbone(), split, config), config
    if kind == "history tokens":
        config = changed(model={"history_tokens": 6}, quantizer={"revive_below": 0})
        return preview(train_backbone(split, config)[0], split, config), config
    if kind == "item lists":
        config = changed({"item_lists": "ease"})
        return with_lists(config), config
    items = {"kind": "items"} if kind == "item codes" else {}
    config = config_of({"pair_features": "counts"}, items)
    return fitted(config), config


@cache
def retriever(kind: str) -> SparseRetriever:
    model, config = made(kind)
    index = build_run_index(model, tiny_split().train, config.index.model_copy(update={"postings": "float32"}))
    return SparseRetriever(model, index, model.threshold)


def random_queries(seed: int) -> Histories:
    """1,000 histories of 1 to 20 items, each once."""
    rng, n_items = np.random.default_rng(seed), tiny_split().train.n_items
    rows = [rng.choice(n_items, rng.integers(1, 21), replace=False).tolist() for _ in range(N_QUERIES)]
    return Histories.from_lists(rows, n_items)


@pytest.mark.parametrize("kind", KINDS)
def test_contributions_add_up_to_the_scores_that_are_served(kind: str) -> None:
    served, queries, n_compared = retriever(kind), random_queries(1), 0
    # 1,000 queries in all, each by one of the models.
    rows = range(KINDS.index(kind), N_QUERIES, len(KINDS))
    for row in rows:
        query = queries.take(np.array([row]))
        found = served.retrieve(query, 10)
        kept = found.item_ids[0] >= 0
        explained = served.explain_query(query, found.item_ids[0][kept])
        np.testing.assert_array_equal(explained.scores, found.scores[0][kept])
        np.testing.assert_allclose(explained.contributions.sum(1), explained.scores, rtol=1e-5)
        # In any order, also twice.
        turned = served.explain_query(query, np.append(found.item_ids[0][kept][::-1], found.item_ids[0][kept][:1]))
        np.testing.assert_array_equal(turned.scores, np.append(explained.scores[::-1], explained.scores[:1]))
        n_compared += int(kept.sum())
    assert n_compared > 5 * len(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_another_threshold_explains_as_the_retriever_of_that_threshold(kind: str) -> None:
    served, queries = retriever(kind), random_queries(2).take(np.arange(20))
    scores = served.index.scores
    higher = float(np.quantile(scores[scores > served.threshold], 0.7))
    cut = served.with_threshold(higher)
    for row in range(len(queries)):
        query = queries.take(np.array([row]))
        found = cut.retrieve(query, 10)
        kept = found.item_ids[0] >= 0
        explained = served.explain_query(query, found.item_ids[0][kept])
        moved = explained.at(higher)
        np.testing.assert_array_equal(moved.scores, found.scores[0][kept])
        for before, after, one in zip(explained.lengths, moved.lengths, moved.lists, strict=True):
            assert after == (one.scores > np.float32(higher)).sum() <= before <= len(one.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_has_the_codes_and_weights_of_the_encoded_query(kind: str) -> None:
    model, _ = made(kind)
    queries = random_queries(3).take(np.arange(50))
    for row in range(len(queries)):
        query = queries.take(np.array([row]))
        trace = trace_query(model, query)
        expected: dict[int, float] = {}
        for code, weight in zip(*(part[0].tolist() for part in model.encode(query)), strict=True):
            expected[code] = expected.get(code, 0.0) + weight
        traced: dict[int, float] = dict(zip(trace.list_codes.tolist(), trace.list_weights.tolist(), strict=True))
        for code, weight in zip(trace.codes.ravel().tolist(), (trace.token_weights[:, None] * trace.shares).ravel().tolist(), strict=True):
            traced[code] = traced.get(code, 0.0) + weight
        assert traced == pytest.approx({code: weight for code, weight in expected.items() if weight}, rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(trace.shares.sum(1), 1, rtol=1e-5)
        assert np.all(np.diff(trace.distances, axis=1) >= -1e-5)
        assert set(trace.items[trace.items != HEAD].tolist()) <= set(query[0].tolist())
        assert set(trace.list_items.tolist()) <= set(query[0].tolist())


def test_a_trace_says_which_tokens_and_lists_a_history_has() -> None:
    query = Histories.from_lists([[5, 9, 2, 30, 41, 7, 3, 12]], tiny_split().train.n_items)
    heads, history = trace_query(made("heads")[0], query), trace_query(made("history tokens")[0], query)
    assert heads.items.tolist() == [HEAD] * 3 == history.items[:3].tolist()
    assert heads.n_heads == history.n_heads == 3
    # The six latest.
    assert history.items[3:].tolist() == [2, 30, 41, 7, 3, 12]
    assert heads.token_weights.tolist() == [1, 1, 1]
    assert trace_query(made("item codes")[0], query).items.tolist() == sorted(query[0].tolist())
    assert set(trace_query(made("item lists")[0], query).list_items) == set(query[0].tolist()) - {0}


def test_codewords_name_the_code_and_distances_are_those_to_its_vector() -> None:
    model, _ = made("heads")
    trace = trace_query(model, random_queries(4).take(np.array([0])))
    n_books, size = model.codebooks
    np.testing.assert_array_equal((trace.codewords * size ** np.arange(n_books)).sum(-1), trace.codes)
    assert np.all((trace.codewords >= 0) & (trace.codewords < size))
    # No code is nearer than the nearest.
    gaps = np.log(trace.shares[:, 0] / trace.shares[:, -1]) * float(model.quantizer.log_temperature.detach().exp())
    np.testing.assert_allclose(trace.distances[:, -1] - trace.distances[:, 0], gaps, rtol=1e-3, atol=1e-4)


def test_an_explanation_is_of_one_query_and_of_known_items() -> None:
    queries, n_items = random_queries(5), tiny_split().train.n_items
    with pytest.raises(ValueError, match="one row; got 1000"):
        retriever("heads").explain_query(queries, np.array([1]))
    with pytest.raises(ValueError, match=rf"\[0, {n_items}\); got {n_items}"):
        retriever("heads").explain_query(queries.take(np.array([0])), np.array([1, n_items]))
    with pytest.raises(ValueError, match="one row; got 1000"):
        trace_query(made("heads")[0], queries)


def test_an_item_that_no_list_holds_gets_nothing() -> None:
    served, query = retriever("heads"), random_queries(6).take(np.array([0]))
    highest = served.with_threshold(float(served.index.scores.max()))
    assert highest.explain_query(query, np.zeros(0, int)).scores.shape == (0,)
    explained = highest.explain_query(query, np.array([3, 4]))
    assert explained.scores.tolist() == [0, 0]
    assert explained.lengths.tolist() == [0] * len(explained.lists)
    assert explained.contributions.shape == (2, len(explained.lists))
