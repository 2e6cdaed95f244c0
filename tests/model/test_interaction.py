from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sparcode.config import ModelConfig
from sparcode.model.initialisation import initialise
from sparcode.model.interaction import MlpInteraction

N, I, D, H = 5, 11, 6, 7


@pytest.fixture
def network() -> MlpInteraction:
    network = MlpInteraction(I, ModelConfig(token_dim=D, interaction_dim=H))
    initialise(network, 4)
    with torch.no_grad():
        network.items.bias.copy_(torch.linspace(-1, 1, I))
        network.token_part.bias.copy_(torch.linspace(-0.5, 0.5, H))
    return network


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(2))


def concatenated(network: MlpInteraction, tokens: Tensor) -> Tensor:
    """The textbook rendering: an MLP over the concatenated pair, added to a dot product with a bias, pair by pair."""
    first = torch.cat([network.token_part.weight, network.item_part.weight], dim=1)  # (H, 2 D)
    scores = torch.zeros(len(tokens), network.n_items)
    for n, token in enumerate(tokens):
        for i, item in enumerate(network.items.embedding.weight):
            hidden = torch.relu(first @ torch.cat([token, item]) + network.token_part.bias)
            scores[n, i] = token @ item + network.items.bias[i] + network.output @ hidden
    return scores


def test_scores_equal_the_mlp_over_concatenated_pairs(network: MlpInteraction, tokens: Tensor) -> None:
    scores = network(tokens)
    assert scores.shape == (N, I)
    torch.testing.assert_close(scores, concatenated(network, tokens), rtol=1e-5, atol=1e-5)


def test_gradients_equal_those_of_the_concatenated_rendering(network: MlpInteraction, tokens: Tensor) -> None:
    upstream = torch.randn(N, I, generator=torch.Generator().manual_seed(3))
    tokens.requires_grad_()
    inputs = [tokens, *network.parameters()]
    ours = torch.autograd.grad((network(tokens) * upstream).sum(), inputs)
    theirs = torch.autograd.grad((concatenated(network, tokens) * upstream).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_candidates_are_columns_of_the_full_score(network: MlpInteraction, tokens: Tensor) -> None:
    candidates = torch.tensor([7, 0, 7, 10])
    torch.testing.assert_close(network(tokens, candidates), network(tokens)[:, candidates], rtol=1e-6, atol=1e-6)


def test_gradients_of_repeated_candidates_add_up(network: MlpInteraction, tokens: Tensor) -> None:
    candidates = torch.tensor([7, 0, 7])
    parameters = [network.items.embedding.weight, network.items.bias]
    ours = torch.autograd.grad(network(tokens, candidates).sum(), parameters)
    theirs = torch.autograd.grad(network(tokens)[:, candidates].sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_the_correction_starts_small_beside_the_dot_product(tokens: Tensor) -> None:
    network = MlpInteraction(200, ModelConfig(token_dim=D, interaction_dim=H))
    initialise(network, 1)
    dot = tokens @ network.items.embedding.weight.T
    assert (network(tokens) - dot).std() < 0.2 * dot.std()
