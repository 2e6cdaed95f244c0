from __future__ import annotations

import copy

import pytest
import torch

from sparcode.config import ModelConfig
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import SeededDropout, initialise, seed_dropout

CONFIG = ModelConfig(n_tokens=3, token_dim=5, hidden_dim=24, interaction_dim=7)


@pytest.mark.parametrize("encoder", ["mean", "gru", "sasrec"])
@pytest.mark.parametrize("interaction", ["mlp", "cross", "attention"])
def test_the_same_seed_gives_the_same_weights_whatever_the_global_generator_holds(encoder: str, interaction: str) -> None:
    states = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        model = AllToAllModel(13, CONFIG.model_copy(update={"encoder": encoder, "interaction": interaction}))
        initialise(model, 9)
        states.append(model.state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_seed_gives_other_weights() -> None:
    one, other = AllToAllModel(13, CONFIG), AllToAllModel(13, CONFIG)
    initialise(one, 9)
    initialise(other, 10)
    assert not torch.equal(one.interaction.items.embedding.weight, other.interaction.items.embedding.weight)


def test_spreads_follow_fan_in_and_biases_are_zero() -> None:
    model = AllToAllModel(2000, CONFIG)
    initialise(model, 0)
    assert model.tokenizer.encoder.embedding.weight.std().item() == pytest.approx(24**-0.5, rel=0.05)
    assert model.interaction.items.embedding.weight.std().item() == pytest.approx(5**-0.5, rel=0.05)
    assert model.tokenizer.heads.weight.std().item() == pytest.approx(24**-0.5, rel=0.2)
    assert not model.tokenizer.heads.bias.any()


def test_dropout_keeps_the_mean_and_passes_through_in_evaluation() -> None:
    dropout = SeededDropout(0.25)
    dropout.generator.manual_seed(5)
    values = torch.ones(200, 50)
    dropped = dropout(values)
    assert sorted(dropped.unique().tolist()) == pytest.approx([0, 4 / 3])
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(dropout.eval()(values), values)


def test_masks_come_from_the_seed_and_leave_the_global_generator_alone() -> None:
    model = AllToAllModel(13, CONFIG, dropout=0.5)
    dropout = model.tokenizer.encoder.dropout
    masks = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        seed_dropout(model, 6)
        masks.append(dropout(torch.ones(8, 9)))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*masks)
    assert not torch.equal(dropout(torch.ones(8, 9)), masks[0])


def test_a_copied_model_draws_its_own_masks() -> None:
    model = AllToAllModel(13, CONFIG, dropout=0.5)
    seed_dropout(model, 6)
    twin = copy.deepcopy(model)
    first = model.tokenizer.encoder.dropout(torch.ones(8, 9))
    assert torch.equal(twin.tokenizer.encoder.dropout(torch.ones(8, 9)), first)
