from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet, Split
from sparcode.model.query_batch import QueryBatch
from sparcode.model.tokenizer import HistoryTokens
from sparcode.retrieval.exact import SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.pipeline import build_run_index, fine_tune, preview, train_backbone
from tests.tiny import changed, tiny_split

I, D, H = 9, 5, 8
QUERIES = Histories.from_lists([[3, 7, 1, 3], [], [7]], I)


def module(latest: int) -> HistoryTokens:
    made = HistoryTokens(I, ModelConfig(token_dim=D, hidden_dim=H, history_tokens=latest))
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in made.parameters():
            parameter.normal_(generator=generator)
    return made


@pytest.mark.parametrize("latest", [1, 2, 10])
def test_the_latest_items_become_tokens_weighted_by_their_gates(latest: int) -> None:
    made, hidden = module(latest), torch.randn(3, H, generator=torch.Generator().manual_seed(1))
    vectors, use = made(QueryBatch.from_histories(QUERIES), hidden)
    for row in range(3):
        items = QUERIES[row][-latest:] if len(QUERIES[row]) else []
        part = slice(int(use.offsets[row]), int(use.offsets[row + 1]))
        assert len(use.columns[part]) == len(items)
        for column, weight, item in zip(use.columns[part], use.weights[part], items, strict=True):
            torch.testing.assert_close(vectors[column], made.tokens.weight[item])
            gate = made.gate_key.weight[item] @ (made.gate_query @ hidden[row]) + made.gate_bias[item]
            torch.testing.assert_close(weight, gate.clamp(-8, 8).exp(), rtol=1e-4, atol=0)
    assert len(vectors) == len(use.columns.unique())


def test_at_first_every_history_item_counts_as_much_as_a_head() -> None:
    fresh = HistoryTokens(I, ModelConfig(token_dim=D, hidden_dim=H, history_tokens=4))
    _, use = fresh(QueryBatch.from_histories(QUERIES), torch.randn(3, H))
    assert use.weights.tolist() == [1.0] * 5


@pytest.mark.parametrize("quantizer", [{"n_nearest": 1}, {"n_nearest": 4}, {"n_codebooks": 1, "codebook_size": 30}, {"kind": "residual"}])
def test_the_index_serves_history_tokens_exactly(quantizer: dict) -> None:
    config = changed(model={"history_tokens": 6}, quantizer={"revive_below": 0, **quantizer})
    split = tiny_split()
    model = preview(train_backbone(split, config)[0], split, config)
    fine_tune(model, split, config)
    lists = [[], *(split.test.queries[row].tolist() for row in range(len(split.test.queries)))]
    queries = Histories.from_lists(lists, split.train.n_items)
    codes, weights = model.encode(queries)
    for row_codes, row_weights in zip(codes, weights, strict=True):
        used = row_codes[row_weights > 0]
        assert len(used) == len(np.unique(used)) > 0
    retriever = SparseRetriever(model, build_run_index(model, split.train, config.index), model.threshold)
    found = retriever.retrieve(queries, 10)
    direct = SparseDirectScorer(model, model.threshold).score(queries)
    np.testing.assert_allclose(model.score(queries), np.maximum(direct, 0), rtol=1e-5)
    for row, (items, scores) in enumerate(zip(found.item_ids, found.scores, strict=True)):
        kept = items[items >= 0]
        direct[row, queries[row]] = -np.inf
        # Blocks of codes are scored by matrix products of other shapes, which may end in another last digit.
        np.testing.assert_allclose(scores[: len(kept)], direct[row, kept], rtol=1e-5)
        np.testing.assert_allclose(scores[: len(kept)], np.sort(direct[row])[::-1][: len(kept)], rtol=1e-5)
    explained = retriever.explain(queries.take([1]), int(found.item_ids[1, 0]))
    assert explained.score == pytest.approx(found.scores[1, 0], rel=1e-5)
    assert all(part.weight > 0 for part in explained.contributions)


def test_the_same_settings_give_the_same_codes_twice_and_codes_without_a_list_find_the_nearest() -> None:
    config, split = changed(model={"history_tokens": 6}, quantizer={"revive_below": 0}), tiny_split()
    models = []
    for _ in range(2):
        models.append(preview(train_backbone(split, config)[0], split, config))
        fine_tune(models[-1], split, config)
    for first, second in zip(*(model.encode(split.test.queries) for model in models), strict=True):
        np.testing.assert_array_equal(first, second)
    few = split.train.take(np.arange(4))
    model = models[0]
    index = build_run_index(model, few, config.index)
    assert not np.isin(model.encode(split.test.queries)[0], index.codes).all()
    nearest = SparseRetriever(model, index, model.threshold, "nearest")
    assert (nearest.retrieve(split.test.queries, 5).item_ids[:, 0] >= 0).all()


def test_a_catalogue_smaller_than_a_token_is_served() -> None:
    rng = np.random.default_rng(0)
    histories = Histories.from_lists([rng.choice(7, size=5, replace=False).tolist() for _ in range(30)], 7)
    evaluation = EvaluationSet(histories.take(np.arange(4)), histories.take(np.arange(4)), np.arange(4))
    split = Split(histories, np.arange(30), evaluation, evaluation, {})
    settings = changed(model={"history_tokens": 3, "token_dim": 16}, quantizer={"revive_below": 0}, training={"start": "spectral"})
    model = preview(train_backbone(split, settings)[0], split, settings)
    fine_tune(model, split, settings)
    found = SparseRetriever(model, build_run_index(model, histories, settings.index), model.threshold).retrieve(histories, 3)
    assert (found.item_ids >= -1).all()
    assert (found.item_ids < 7).all()


def test_rare_items_keep_their_codewords() -> None:
    with pytest.raises(ValueError, match=r"history_tokens=6 needs revive_below=0; got 0\.05"):
        changed(model={"history_tokens": 6})
