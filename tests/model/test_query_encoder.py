from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.query_encoder import ENCODERS, latest_items

I, H, L = 12, 8, 4


def encoder(name: str, n_features: int = 0) -> torch.nn.Module:
    made = ENCODERS[name](I, ModelConfig(encoder=name, hidden_dim=H, max_history=L), 0.0, n_features)
    initialise(made, 5)
    return made.eval()


def batch(*rows: list[int], features: np.ndarray | None = None) -> QueryBatch:
    made = Histories.from_lists(list(rows), I)
    return QueryBatch.from_histories(Histories(made.indptr, made.items, I, features))


@pytest.mark.parametrize("name", ENCODERS)
def test_a_query_is_encoded_the_same_alone_and_in_a_batch(name: str) -> None:
    made = encoder(name)
    rows = [[1, 2, 3], [4], [], [5, 6, 7, 8, 9, 10, 0]]
    together = made(batch(*rows))
    assert together.shape == (4, H)
    for row, expected in zip(rows, together, strict=True):
        torch.testing.assert_close(made(batch(row))[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gru", "sasrec"])
def test_sequence_encoders_read_the_latest_items_in_order(name: str) -> None:
    made = encoder(name)
    long, latest, swapped = made(batch([9, 8, 1, 2, 3, 4], [1, 2, 3, 4], [2, 1, 3, 4]))
    torch.testing.assert_close(long, latest, rtol=1e-5, atol=1e-6)
    assert (latest - swapped).abs().max() > 1e-3


def test_the_mean_does_not_know_the_order() -> None:
    one, other = encoder("mean")(batch([1, 2, 3], [3, 1, 2]))
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", ENCODERS)
def test_side_features_move_the_encoding_and_must_fit(name: str) -> None:
    made = encoder(name, n_features=2)
    one, other = made(batch([1, 2], [1, 2], features=np.array([[1, 0], [0, 1]])))
    assert (one - other).abs().max() > 1e-3
    with pytest.raises(ValueError, match="2 side features per user; the queries have none"):
        made(batch([1, 2]))
    with pytest.raises(ValueError, match="the queries have 3"):
        made(batch([1, 2], features=np.zeros((1, 3))))


@pytest.mark.parametrize("name", ENCODERS)
def test_every_weight_learns(name: str) -> None:
    made = encoder(name, n_features=2)
    made(batch([1, 2, 3], [4, 5], features=np.ones((2, 2)))).square().sum().backward()
    assert [name for name, value in made.named_parameters() if value.grad is None] == []


def test_latest_items_stand_first_and_padding_is_zero() -> None:
    table = torch.arange(1.0, I + 1)[:, None]
    values, lengths = latest_items(batch([0, 1, 2, 3, 4, 5], [], [7]), L, table)
    assert lengths.tolist() == [4, 0, 1]
    assert values[:, :, 0].tolist() == [[3, 4, 5, 6], [0, 0, 0, 0], [8, 0, 0, 0]]
