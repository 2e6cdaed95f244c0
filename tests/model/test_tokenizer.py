from __future__ import annotations

import torch

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.tokenizer import Tokenizer
from tests.tiny import queries_of

I, T, D, H = 9, 3, 5, 12


def tokenizer(dropout: float = 0.0) -> Tokenizer:
    made = Tokenizer(I, ModelConfig(n_tokens=T, token_dim=D, hidden_dim=H), dropout)
    initialise(made, 8)
    return made.eval()


def test_tokens_equal_the_written_out_network() -> None:
    made, queries = tokenizer(), queries_of(I)
    tokens = made(QueryBatch.from_histories(queries))
    assert tokens.shape == (len(queries), T, D)
    assert tokens.dtype == torch.float32
    table = made.encoder.embedding.weight
    for row in range(len(queries)):
        history = queries[row]
        pooled = sum((table[item] for item in history), torch.zeros(H)) / max(1, len(history)) ** 0.5
        hidden = torch.tanh(made.encoder.hidden.weight @ torch.tanh(pooled) + made.encoder.hidden.bias)
        for head in range(T):
            part = slice(head * D, (head + 1) * D)
            expected = made.heads.weight[part] @ hidden + made.heads.bias[part]
            torch.testing.assert_close(tokens[row, head], expected, rtol=1e-5, atol=1e-5)


def test_no_queries_give_no_tokens() -> None:
    none = QueryBatch.from_histories(Histories.from_lists([], I))
    assert none.batch_size == 0
    assert tokenizer()(none).shape == (0, T, D)
