from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import ModelConfig
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.query_batch import QueryBatch
from tests.tiny import fresh_backbone, queries_of

I = 9


def model(link: str) -> AllToAllModel:
    return fresh_backbone(I, ModelConfig(token_dim=6, hidden_dim=8, n_tokens=3, interaction_dim=5, link=link), seed=2)


@pytest.mark.parametrize("link", ["exp", "linear"])
def test_logits_add_up_the_tokens_scores(link: str) -> None:
    network, queries = model(link), queries_of(I)
    tokens = network.tokens(queries)  # (B, T, D)
    expected = torch.zeros(len(queries), I)
    with torch.no_grad():
        for query in range(len(queries)):
            raw = network.interaction(tokens[query])  # (T, I)
            expected[query] = raw.exp().sum(0).log() if link == "exp" else raw.clamp(min=0).sum(0)
    np.testing.assert_allclose(network.score(queries), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("link", ["exp", "linear"])
def test_candidates_are_columns_of_all_items(link: str) -> None:
    network, batch = model(link), QueryBatch.from_histories(queries_of(I))
    chosen = torch.tensor([8, 3, 3, 0])
    torch.testing.assert_close(network(batch, chosen)[0], network(batch)[0][:, chosen])
    assert float(network(batch)[1]) == 0


def test_scoring_switches_dropout_off() -> None:
    network = AllToAllModel(I, ModelConfig(token_dim=6, hidden_dim=8), dropout=0.5).train()
    np.testing.assert_array_equal(network.score(queries_of(I)), network.score(queries_of(I)))
