from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.sparse import csr_array

from sparcode.config import RunConfig
from sparcode.data.interactions import Histories
from sparcode.index.block_index import BlockIndex
from sparcode.metrics.evaluation import code_usage
from sparcode.model.item_lists import ItemLists, ListChoice
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.exact import SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import build_run_index, preview, serve
from tests.model.test_pair_features import assert_served
from tests.tiny import changed, fresh_backbone, tiny_split

I = 7
QUERIES = st.lists(st.lists(st.integers(0, I - 1), max_size=6), min_size=1, max_size=5)
SETTINGS = [
    ({}, {}),
    ({"link": "linear"}, {"kind": "residual"}),
    ({}, {"n_nearest": 1, "n_codebooks": 1}),
    ({"history_tokens": 5}, {"revive_below": 0}),
    ({"encoder": "gru"}, {}),
]


def planted_values(n_items: int, seed: int = 0) -> csr_array:
    """Weights of item pairs above 0; item 0 has none."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((n_items, n_items)) < 0.1, rng.random((n_items, n_items)), 0).astype(np.float32)
    values[0] = 0
    return csr_array(values)


def with_lists(config: RunConfig, alpha: float = 0.3, scale: float = 2.0) -> SparCodeModel:
    """A preview of an untrained backbone with planted lists."""
    split = tiny_split()
    made = preview(fresh_backbone(split.train.n_items, config.model), split, config)
    made.lists.set(planted_values(made.n_items), ListChoice(alpha, 8, 300.0), made.threshold, scale)
    return made


@given(QUERIES, st.integers(0, 3))
def test_codes_of_heads_are_followed_by_those_of_listed_items(lists: list[list[int]], seed: int) -> None:
    values = planted_values(I, seed)
    of_items = ItemLists(I, 36)
    of_items.set(values, ListChoice(0.5, 3, 0.0), 1.0, 2.0)
    codes = np.tile(np.array([[4, 9]]), (len(lists), 1))
    weights = np.tile(np.array([[0.25, 0.75]], np.float32), (len(lists), 1))
    found, shares = of_items.beside(codes, weights, Histories.from_lists(lists, I))
    np.testing.assert_array_equal(found[:, :2], codes)
    np.testing.assert_array_equal(shares[:, :2], weights)
    listed = set(np.flatnonzero(np.diff(values.indptr)).tolist())
    assert of_items.listed().tolist() == [36 + item for item in sorted(listed)]
    for row, of_codes, of_weights in zip(lists, found[:, 2:], shares[:, 2:], strict=True):
        used = of_weights > 0
        expected = {36 + item: 0.25 * row.count(item) for item in row if item in listed}
        assert dict(zip(of_codes[used].tolist(), of_weights[used].tolist(), strict=True)) == pytest.approx(expected)
        assert (of_codes[~used] == 4).all()


@pytest.mark.parametrize(("model", "quantizer"), SETTINGS)
def test_one_index_serves_what_heads_and_lists_score(model: dict, quantizer: dict) -> None:
    config, split = changed({"item_lists": "ease", **model}, quantizer), tiny_split()
    made, queries = with_lists(config), tiny_split().test.queries.take(np.arange(6))
    plain = preview(fresh_backbone(split.train.n_items, config.model), split, config)
    # The formula itself: the heads' scores as without lists, and alpha times the sum of the items' values.
    times = np.zeros((6, made.n_items), np.float32)
    np.add.at(times, (queries.rows, queries.items), 1)
    formula = plain.score(queries) + 0.3 * times @ planted_values(made.n_items).toarray()
    np.testing.assert_allclose(made.score(queries), formula, rtol=1e-4, atol=1e-6)
    index = build_run_index(made, split.train, config.index)
    retriever = SparseRetriever(made, index, made.threshold)
    direct = SparseDirectScorer(made, made.threshold).score(queries)
    np.testing.assert_allclose(made.score(queries), np.maximum(direct, 0), rtol=1e-5, atol=1e-6)
    found = retriever.retrieve(queries, 10)
    assert_served(found, direct, queries)
    explained = retriever.explain(queries.take([1]), int(found.item_ids[1, 0]))
    assert explained.score == pytest.approx(found.scores[1, 0], rel=1e-5)
    named = {part.code - made.lists.first_code for part in explained.contributions if part.code >= made.lists.first_code}
    assert named == set(queries[1].tolist()) - {0}


@pytest.mark.parametrize("postings", ["float32", "blocked", "quantized"])
def test_every_layout_serves_both_kinds_of_lists(postings: str) -> None:
    config, split = changed({"item_lists": "ease"}, index={"postings": postings}), tiny_split()
    made, queries = with_lists(config), tiny_split().test.queries
    retriever = serve(made, build_run_index(made, split.train, config.index), config.index)
    assert isinstance(retriever.index, BlockIndex) == (postings != "float32")
    direct = SparseDirectScorer(made, retriever.threshold).score(queries)
    found = retriever.retrieve(queries, 10)
    rows = np.repeat(np.arange(len(queries)), 10)
    kept = found.item_ids.ravel() >= 0
    expected = direct[rows[kept], found.item_ids.ravel()[kept]]
    np.testing.assert_allclose(found.scores.ravel()[kept], expected, rtol=1e-5 if postings != "quantized" else 1e-3)


def test_a_raised_threshold_cuts_both_kinds_of_lists_and_a_lowered_one_stores_no_more_pairs_of_items() -> None:
    config, split = changed({"item_lists": "ease"}), tiny_split()
    made = with_lists(config)
    index = build_run_index(made, split.train, config.index)
    of_items = index.codes >= made.lists.first_code
    assert index.floor < made.threshold
    stored = index.list_lengths(index.floor)[of_items]
    np.testing.assert_array_equal(stored, index.list_lengths(made.threshold)[of_items])
    assert stored.sum() == np.count_nonzero(planted_values(made.n_items).toarray()[index.codes[of_items] - made.lists.first_code])
    higher = made.threshold + 2.0 * 0.5
    assert 0 < index.list_lengths(higher)[of_items].sum() < stored.sum()
    assert index.list_lengths(higher)[~of_items].sum() < index.list_lengths(made.threshold)[~of_items].sum()


def test_the_heads_threshold_floor_and_codes_in_use_are_as_without_lists() -> None:
    config, split = changed({"item_lists": "ease"}), tiny_split()
    made = with_lists(config)
    plain = preview(fresh_backbone(split.train.n_items, config.model), split, changed())
    assert made.threshold == plain.threshold
    made.set_density(split.train, 0.3, 0)
    assert made.threshold == plain.threshold
    index, of_plain = (build_run_index(one, split.train, config.index) for one in (made, plain))
    assert index.floor == of_plain.floor
    of_heads = made.without_lists(index.codes)
    np.testing.assert_array_equal(of_heads, of_plain.codes)
    for measured, other in zip(code_usage(made, split.train, 5), code_usage(plain, split.train, 5), strict=True):
        np.testing.assert_array_equal(measured, other)


def test_an_alpha_of_zero_is_the_model_without_lists() -> None:
    config, split = changed({"item_lists": "ease"}), tiny_split()
    made, queries = with_lists(config, alpha=0.0), split.test.queries
    plain = preview(fresh_backbone(split.train.n_items, config.model), split, changed())
    for found, expected in zip(made.encode(queries), plain.encode(queries), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(made.lists.listed()) == 0
    np.testing.assert_allclose(made.score(queries), plain.score(queries), rtol=1e-5, atol=1e-7)


def test_item_lists_have_no_vectors() -> None:
    made = with_lists(changed({"item_lists": "ease"}))
    with pytest.raises(ValueError, match="item lists have no vectors"):
        made.code_vectors(np.array([0, made.lists.first_code]))
    assert made.code_vectors(np.array([0, 1])).shape == (2, 8)


def test_loaded_lists_are_served_at_once() -> None:
    config = changed({"item_lists": "ease"})
    made, other = with_lists(config), with_lists(config, alpha=0.0)
    queries = tiny_split().test.queries
    other.encode(queries)
    other.load_state_dict(made.state_dict())
    np.testing.assert_array_equal(other.encode(queries)[1], made.encode(queries)[1])
    assert torch.equal(other.lists.values, made.lists.values)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantizer": {"kind": "items"}, "model": {"item_lists": "ease", "history_tokens": 5}}, "every item has its list already"),
        ({"model": {"item_lists": "ease", "pair_features": "counts"}}, "needs pair_features='none'"),
        ({"model": {"item_lists": "counts"}, "index": {"unseen": "nearest"}}, "needs unseen='compute'"),
        (
            {"model": {"item_lists": "counts", "side_features": "both"}, "split": {"protocol": "cold-start"}},
            "item_lists=counts does nothing",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunConfig.model_validate(changes)
