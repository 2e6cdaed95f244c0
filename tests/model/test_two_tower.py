from __future__ import annotations

import numpy as np
import torch

from sparcode.config import ModelConfig
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.two_tower import TwoTowerModel
from tests.tiny import queries_of

I, D = 9, 6


def model() -> TwoTowerModel:
    model = TwoTowerModel(I, ModelConfig(token_dim=D, hidden_dim=8, n_tokens=4))
    initialise(model, 3)
    with torch.no_grad():
        model.items.bias.copy_(torch.linspace(-1, 1, I))
    return model.eval()


def test_a_score_is_the_dot_product_of_its_vectors() -> None:
    network, queries = model(), queries_of(I)
    vectors, items = network.query_vectors(queries), network.item_vectors()
    assert vectors.shape == (len(queries), D + 1)
    assert items.shape == (I, D + 1)
    token = network.tokenizer(QueryBatch.from_histories(queries))[2, 0]
    expected = float(token @ network.items.embedding.weight[5] + network.items.bias[5])
    np.testing.assert_allclose(network.score(queries)[2, 5], expected, rtol=1e-5)
    np.testing.assert_allclose(network.score(queries), vectors @ items.T, rtol=1e-6)


def test_logits_are_the_scores_whichever_items_are_asked_for() -> None:
    network, queries = model(), queries_of(I)
    batch, chosen = QueryBatch.from_histories(queries), torch.tensor([7, 0, 7])
    logits, auxiliary = network(batch)
    np.testing.assert_allclose(logits.detach().numpy(), network.score(queries), rtol=1e-5)
    torch.testing.assert_close(network(batch, chosen)[0], logits[:, chosen])
    assert float(auxiliary) == 0


def test_the_query_is_one_vector_whatever_the_tokens_of_the_others() -> None:
    assert model().tokenizer(QueryBatch.from_histories(queries_of(I))).shape == (4, 1, D)


def test_a_query_scores_alone_as_in_a_batch() -> None:
    network, queries = model(), queries_of(I)
    alone = np.concatenate([network.score(queries.take(np.array([row]))) for row in range(len(queries))])
    np.testing.assert_allclose(alone, network.score(queries), rtol=1e-5, atol=1e-6)


def test_query_vectors_are_the_token_and_a_one() -> None:
    network, queries = model(), queries_of(I)
    for asked in (queries, queries.take(np.array([1])), queries.take(np.zeros(0, dtype=np.int64))):
        vectors = network.query_vectors(asked)
        with torch.no_grad():
            tokens = network.tokenizer(QueryBatch.from_histories(asked))[:, 0].numpy()
        np.testing.assert_allclose(vectors, np.concatenate([tokens, np.ones((len(asked), 1))], axis=1), rtol=1e-5, atol=1e-6)
        assert vectors.dtype == np.float32


def test_many_queries_become_vectors_block_by_block() -> None:
    network, queries = model(), queries_of(I)
    many = network.query_vectors(queries.take(np.arange(1100) % len(queries)))
    np.testing.assert_allclose(many[: len(queries)], network.query_vectors(queries), rtol=1e-5, atol=1e-6)
    assert many.shape == (1100, D + 1)
