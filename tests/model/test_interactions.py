"""The contract of all interaction networks, and each one against its written-out formula, pair by pair."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sparcode.config import ModelConfig
from sparcode.model.initialisation import initialise
from sparcode.model.interaction import INTERACTIONS, AttentionInteraction, CrossInteraction, DotInteraction, MlpInteraction

N, I, D, H = 4, 9, 6, 5


def network(name: str, layers: int = 1, features: Tensor | None = None) -> DotInteraction:
    made = INTERACTIONS[name](I, ModelConfig(interaction=name, token_dim=D, interaction_dim=H, interaction_layers=layers), features)
    initialise(made, 3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return made


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(N, D, generator=torch.Generator().manual_seed(2))


def cross(made: CrossInteraction, token: Tensor, item: Tensor) -> Tensor:
    x = torch.cat([token, item])
    first = x * made.first(x) + x
    return made.output @ (x * made.up(made.down(first)) + first)


def attention(made: AttentionInteraction, token: Tensor, item: Tensor) -> Tensor:
    rows = [made.token_part(token), *made.item_part(item).chunk(2)]
    query, key, reader, value = torch.stack(rows).chunk(4, dim=1)
    seen = torch.softmax(query @ key.T / made.width**0.5, dim=1) @ value
    return made.scale * (reader * seen).sum()


def deep(made: MlpInteraction, token: Tensor, item: Tensor) -> Tensor:
    hidden = torch.relu(torch.cat([made.token_part.weight, made.item_part.weight], 1) @ torch.cat([token, item]) + made.token_part.bias)
    for layer in made.deeper:
        hidden = torch.relu(layer(hidden))
    return made.output @ hidden


FORMULAS = [("cross", 1, cross), ("attention", 1, attention), ("mlp", 1, deep), ("mlp", 3, deep)]


@pytest.mark.parametrize(("name", "layers", "formula"), FORMULAS)
def test_scores_and_gradients_equal_the_formula(name: str, layers: int, formula: Callable[..., Tensor], tokens: Tensor) -> None:
    made = network(name, layers)
    vectors, bias = made.items()
    pairs = [token @ item + bias[i] + formula(made, token, item) for token in tokens.requires_grad_() for i, item in enumerate(vectors)]
    scores, expected = made(tokens), torch.stack(pairs).view(N, I)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    upstream = torch.randn(N, I, generator=torch.Generator().manual_seed(3))
    inputs = [tokens, *made.parameters()]
    ours, theirs = (torch.autograd.grad((found * upstream).sum(), inputs) for found in (scores, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", INTERACTIONS)
def test_candidates_are_columns_repeats_included_and_features_reach_every_score(name: str, tokens: Tensor) -> None:
    features = torch.rand(I, 3, generator=torch.Generator().manual_seed(7))
    made = network(name, features=features)
    candidates = torch.tensor([8, 0, 8, 3])
    some, columns = made(tokens, candidates), made(tokens)[:, candidates]
    torch.testing.assert_close(some, columns, rtol=1e-5, atol=1e-5)
    # Gradients of repeated candidates add up.
    items = [made.items.embedding.weight, made.items.bias]
    ours, theirs = (torch.autograd.grad(scores.sum(), items) for scores in (some, columns))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    before = made(tokens)
    with torch.no_grad():
        made.items.feature_map.weight.add_(0.5)
    assert ((made(tokens) - before).abs() > 1e-4).all()


@pytest.mark.parametrize("name", INTERACTIONS)
def test_every_weight_learns(name: str, tokens: Tensor) -> None:
    made = network(name)
    made(tokens.requires_grad_()).square().sum().backward()
    assert [name for name, value in made.named_parameters() if value.grad is None] == []
    assert tokens.grad.abs().min() > 0


def test_item_features_must_have_a_row_per_item() -> None:
    with pytest.raises(ValueError, match=r"item features must be \(9, F\); got \(8, 3\)"):
        network("dot", features=torch.zeros(8, 3))


def test_the_correction_starts_small_beside_the_dot_product(tokens: Tensor) -> None:
    made = MlpInteraction(200, ModelConfig(token_dim=D, interaction_dim=H))
    initialise(made, 1)
    dot = tokens @ made.items.embedding.weight.T
    assert (made(tokens) - dot).std() < 0.2 * dot.std()
