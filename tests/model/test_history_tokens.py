from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.history_tokens import HistoryTokens
from sparcode.model.query_batch import QueryBatch
from sparcode.pipeline import build_run_index, fine_tune, preview, train_backbone
from sparcode.retrieval import SparseDirectScorer, SparseRetriever
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


@pytest.mark.parametrize("n_nearest", [1, 4])
def test_the_index_serves_history_tokens_exactly(n_nearest: int) -> None:
    config = changed(model={"history_tokens": 6}, quantizer={"n_nearest": n_nearest})
    split = tiny_split()
    model = preview(train_backbone(split, config)[0], split, config)
    fine_tune(model, split, config)
    queries = split.test.queries
    codes, weights = model.encode(queries)
    for row_codes, row_weights in zip(codes, weights, strict=True):
        used = row_codes[row_weights > 0]
        assert len(used) == len(np.unique(used)) > 3
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
    explained = retriever.explain(queries.take([0]), int(found.item_ids[0, 0]))
    assert explained.score == pytest.approx(found.scores[0, 0], rel=1e-5)
    assert all(part.weight > 0 for part in explained.contributions)
