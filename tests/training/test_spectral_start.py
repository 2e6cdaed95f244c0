from __future__ import annotations

import numpy as np
import pytest
import torch

from sparcode.config import ModelConfig
from sparcode.data.interactions import Histories
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.pipeline import train_backbone, train_two_tower
from sparcode.training.spectral_start import singular_item_vectors, start_spectrally
from tests.tiny import changed, tiny_split


def test_the_vectors_span_the_leading_singular_space() -> None:
    rng = np.random.default_rng(0)
    histories = Histories.from_lists([sorted(rng.choice(30, size=rng.integers(1, 9), replace=False)) for _ in range(40)], 31)
    matrix = np.zeros((40, 31))
    for row in range(40):
        matrix[row, histories[row]] = 1
    matrix /= np.sqrt(np.maximum(matrix.sum(1, keepdims=True), 1)) @ np.sqrt(np.maximum(matrix.sum(0, keepdims=True), 1))
    expected = np.linalg.svd(matrix)[2][:6].T
    vectors = singular_item_vectors(histories, 6, 0)
    assert vectors.shape == (31, 6)
    np.testing.assert_allclose(np.abs(np.sum(vectors * expected, axis=0)), 1, atol=1e-3)
    assert not vectors[30].any()


def test_more_dimensions_than_the_data_has_are_left_out() -> None:
    assert singular_item_vectors(Histories.from_lists([[0, 1], [2]], 5), 64, 0).shape == (5, 2)


@pytest.mark.parametrize("kind", [AllToAllModel, TwoTowerModel])
def test_items_start_at_unit_length_and_unknown_ones_stay(kind: type[AllToAllModel] | type[TwoTowerModel]) -> None:
    histories = Histories.from_lists([[0, 1, 2], [1, 2], [0, 2, 3], [3, 1]], 6)
    model = kind(6, ModelConfig(token_dim=4, hidden_dim=8, history_tokens=2))
    initialise(model, 0)
    items = model.items if kind is TwoTowerModel else model.interaction.items
    before = items.embedding.weight.detach().clone()
    start_spectrally(model, histories, 0)
    torch.testing.assert_close(items.embedding.weight[:4].norm(dim=1), torch.ones(4))
    torch.testing.assert_close(items.embedding.weight[4:], before[4:])
    # Four users span four directions; the other dimensions keep their first weights.
    torch.testing.assert_close(model.tokenizer.encoder.embedding.weight[:4, :4].norm(dim=1), torch.ones(4))
    assert items.bias[2] > items.bias[0] > items.bias[4] == items.bias[5]
    torch.testing.assert_close(items.bias.mean(), torch.zeros(()))


@pytest.mark.parametrize("train", [train_backbone, train_two_tower])
def test_a_spectral_start_is_ahead_after_one_epoch(train) -> None:
    recalls = [
        train(tiny_split(), changed(training={"start": start, "epochs": 1, "joint_epochs": 0}))[1][0].recall
        for start in ("spectral", "random")
    ]
    assert recalls[0] > recalls[1]
