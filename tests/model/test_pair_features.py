from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from sparcode.config import RunConfig
from sparcode.data.interactions import Histories
from sparcode.model.item_codes import items_of
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.model.query_batch import query_blocks
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.contract import Retrieved
from sparcode.retrieval.exact import SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pair_fit import fit_pairs
from sparcode.training.pipeline import build_run_index, preview
from tests.tiny import changed, fresh_backbone, tiny_split

I = 7
HISTORIES = st.lists(st.lists(st.integers(0, I - 1), max_size=6, unique=True), min_size=1, max_size=12)
NUMBERS = st.sampled_from([0.0, 0.25, 0.6, 1.1])
SHAPES = st.builds(PairShape, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(1, I + 1))


def naive(uses: np.ndarray, holds: np.ndarray, shape: PairShape, own: bool) -> np.ndarray:
    """The formula of `sparcode.model.pair_features`, pair by pair, cut to the highest of each code."""
    f = np.zeros((uses.shape[0], holds.shape[1]))
    for code, of_code in enumerate(uses):
        for item, of_item in enumerate(holds.T):
            both = of_code * of_item
            if both.sum() == 0 or (own and code == item):
                continue
            counted = (both * np.maximum(holds.sum(1), 1) ** -shape.query).sum()
            f[code, item] = counted * of_code.sum() ** -shape.code * of_item.sum() ** -shape.item * both.sum() / (both.sum() + shape.shrink)
        f[code, np.argsort(-f[code], kind="stable")[shape.per_code :]] = 0
    return f


@given(HISTORIES, SHAPES)
def test_values_of_items_are_those_of_the_formula(lists: list[list[int]], shape: PairShape) -> None:
    holds = np.array([[item in row for item in range(I)] for row in lists], float)
    use = CodeUse.of_items(Histories.from_lists(lists, I))
    values = use.values(shape).toarray()
    expected = naive(holds.T, holds, shape._replace(per_code=I), own=True)
    np.testing.assert_allclose(values[values > 0], expected[use.codes][values > 0], rtol=1e-4)
    # Which of equal values is cut depends on rounding; how many and how high they are does not.
    np.testing.assert_allclose(-np.sort(-values)[:, : shape.per_code], -np.sort(-expected[use.codes])[:, : shape.per_code], rtol=1e-4)
    assert (np.count_nonzero(values, axis=1) <= shape.per_code).all()


@given(HISTORIES, SHAPES, st.integers(0, 5))
def test_values_of_codes_are_those_of_the_formula(lists: list[list[int]], shape: PairShape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes, weights = rng.choice([2, 5, 9], (len(lists), 4)), rng.choice([0, 0.25, 1], (len(lists), 4)).astype(np.float32)
    holds = np.array([[item in row for item in range(I)] for row in lists], float)
    uses = np.array([[weights[row, codes[row] == code].sum() for row in range(len(lists))] for code in (2, 5, 9)])
    use = CodeUse.of_codes(codes, weights, Histories.from_lists(lists, I))
    assert use.codes.tolist() == [code for code, of_code in zip((2, 5, 9), uses, strict=True) if of_code.sum()]
    values = use.values(shape._replace(per_code=I)).toarray()
    expected = naive(uses[uses.sum(1) > 0], holds, shape._replace(per_code=I), own=False)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-7)


def test_equal_values_are_cut_at_the_higher_item_and_some_rows_are_those_of_all() -> None:
    use = CodeUse.of_items(Histories.from_lists([[0, 4, 2, 6]], I))
    values = use.values(PairShape(per_code=2))
    assert [values[[row]].indices.tolist() for row in range(4)] == [[2, 4], [0, 4], [0, 2], [0, 2]]
    some = use.values(PairShape(per_code=2), np.array([3, 1]))
    assert [some[[row]].indices.tolist() for row in range(2)] == [[0, 2], [0, 4]]


@given(st.lists(st.lists(st.integers(0, I - 1), max_size=6), max_size=5))
def test_items_of_a_query_come_once_with_their_number(lists: list[list[int]]) -> None:
    codes, weights = items_of(Histories.from_lists(lists, I))
    assert codes.shape == weights.shape == (len(lists), max(map(len, lists), default=0))
    for row, of_codes, of_weights in zip(lists, codes, weights, strict=True):
        used = of_weights > 0
        assert dict(zip(of_codes[used], of_weights[used], strict=True)) == {item: row.count(item) for item in row}
        assert np.all(np.diff(of_codes[used]) > 0)


SETTINGS = [
    ({"pair_features": "counts"}, {"kind": "items"}),
    ({"pair_features": "counts", "link": "linear"}, {"kind": "items"}),
    ({"pair_features": "counts", "history_tokens": 5}, {"kind": "items"}),
    ({"history_tokens": 5}, {"kind": "items"}),
    ({"pair_features": "counts"}, {}),
    ({"pair_features": "counts", "link": "linear"}, {"kind": "residual"}),
    ({"pair_features": "counts"}, {"n_nearest": 1}),
    ({"pair_features": "counts", "history_tokens": 5}, {"revive_below": 0}),
]


def config_of(model: dict, quantizer: dict, training: dict | None = None) -> RunConfig:
    """As `changed`, also for codes that are items, for which the quantizer's other settings do nothing."""
    config = changed(model, {"revive_below": 0} if quantizer.get("kind") == "items" else quantizer, training)
    if quantizer.get("kind") != "items":
        return config
    values = config.model_dump()
    values["quantizer"] = quantizer
    return RunConfig.model_validate(values)


def fitted(config: RunConfig) -> SparCodeModel:
    made = preview(fresh_backbone(tiny_split().train.n_items, config.model), tiny_split(), config)
    fit_pairs(made, tiny_split(), config)
    return made


def assert_served(found: Retrieved, direct: np.ndarray, queries: Histories) -> None:
    """The 10 best of (B, I) direct scores, -inf where no list holds an item, without what the queries hold."""
    for row, (items, scores) in enumerate(zip(found.item_ids, found.scores, strict=True)):
        kept = items[items >= 0]
        direct[row, queries[row]] = -np.inf
        assert len(kept) == min(10, np.isfinite(direct[row]).sum())
        np.testing.assert_allclose(scores[: len(kept)], direct[row, kept], rtol=1e-5)
        np.testing.assert_allclose(scores[: len(kept)], np.sort(direct[row])[::-1][: len(kept)], rtol=1e-5)


@pytest.mark.parametrize("network_weight", [None, 0.0, 1.0])
@pytest.mark.parametrize(("model", "quantizer"), SETTINGS)
def test_the_index_serves_what_the_model_scores(model: dict, quantizer: dict, network_weight: float | None) -> None:
    config, split = config_of(model, quantizer), tiny_split()
    made = fitted(config)
    if network_weight is not None and made.pairs is not None and made.has_network:
        made.pairs.network_weight.fill_(network_weight)
        made.set_density(split.train, 0.3, 0)
    queries = split.test.queries.take(np.arange(6))
    retriever = SparseRetriever(made, build_run_index(made, split.train, config.index), made.threshold)
    found = retriever.retrieve(queries, 10)
    direct = SparseDirectScorer(made, made.threshold).score(queries)
    np.testing.assert_allclose(made.score(queries), np.maximum(direct, 0), rtol=1e-5, atol=1e-7)
    assert_served(found, direct, queries)
    explained = retriever.explain(queries.take([1]), int(found.item_ids[1, 0]))
    assert explained.score == pytest.approx(found.scores[1, 0], rel=1e-5)


@pytest.mark.parametrize("link", ["exp", "linear"])
def test_scores_are_the_link_of_network_and_features(link: str) -> None:
    made = fitted(config_of({"pair_features": "counts", "link": link}, {}))
    made.pairs.network_weight.fill_(0.5)
    codes = made.pairs.codes.numpy()[:4]
    unseen = np.append(codes, 35) if 35 not in made.pairs.codes else codes
    f = np.zeros((len(unseen), made.n_items), np.float32)
    for row in range(4):
        part = slice(int(made.pairs.indptr[row]), int(made.pairs.indptr[row + 1]))
        f[row, made.pairs.items[part]] = made.pairs.values[part]
    assert (f[:4].max(axis=1) > 0).any()
    with torch.no_grad():
        network = made.backbone.interaction(made.quantizer.vectors(torch.from_numpy(unseen))).numpy()
    expected = 0.5 * network + f if link == "linear" else np.exp(0.5 * network) * (1 + f)
    np.testing.assert_allclose(made.score_codes(unseen), expected, rtol=1e-5, atol=1e-6)


def test_without_the_network_a_pair_that_was_never_counted_is_in_no_list() -> None:
    config = config_of({"pair_features": "counts"}, {"kind": "items"})
    made = fitted(config)
    index = build_run_index(made, tiny_split().train, config.index)
    assert not made.has_network
    counted = csr_array((made.pairs.values, made.pairs.items, made.pairs.indptr), shape=(len(made.pairs.codes), made.n_items)).toarray()
    listed = np.repeat(index.codes, index.list_lengths(index.floor))
    assert len(listed) > 0
    assert (counted[np.searchsorted(made.pairs.codes, listed), index.item_ids] > 0).all()
    assert made.threshold >= 1


def test_a_code_of_many_queries_is_scored_once_and_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made, queries = fitted(config_of({"pair_features": "counts"}, {"kind": "items"})), tiny_split().test.queries
    whole, score_codes, scored = made.score(queries), made.score_codes, []
    monkeypatch.setattr(made, "score_codes", lambda codes: (scored.append(codes), score_codes(codes))[1])
    monkeypatch.setattr("sparcode.model.added_scores.MAX_ADDED_SCORES", 5 * made.n_items)
    np.testing.assert_allclose(made.score(queries), whole, rtol=1e-5)
    assert np.concatenate(scored).tolist() == np.unique(queries.items).tolist()
    assert max(map(len, scored)) == 5


def test_queries_are_encoded_in_blocks_to_see_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    made, train = fitted(config_of({"pair_features": "counts"}, {"kind": "items"})), tiny_split().train
    blocks, encode, n_encoded = query_blocks, made.encode, []
    monkeypatch.setattr("sparcode.model.sparcode_model.query_blocks", lambda queries: blocks(queries, 10))
    monkeypatch.setattr(made, "encode", lambda block: (n_encoded.append(len(block)), encode(block))[1])
    assert made.distinct_codes(train).tolist() == np.unique(train.items).tolist()
    assert sorted(made.used_codes(train).codes) == sorted(train.items)
    made.set_density(train, 0.2, 0)
    assert max(n_encoded) == 10
