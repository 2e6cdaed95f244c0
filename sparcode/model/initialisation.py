"""Seeded weights and seeded dropout: nothing in a model draws from the global generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def initialise(model: nn.Module, seed: int) -> None:
    """Redraw every linear, embedding and recurrent weight from a seed, in the order of the module tree.

    Linear weights are normal with variance 1 / fan-in, biases zero, embeddings normal with variance 1 / width, GRU weights as in PyTorch.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(std=module.in_features**-0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
                module.weight.normal_(std=module.embedding_dim**-0.5, generator=generator)
            elif isinstance(module, nn.GRU):
                for parameter in module.parameters():
                    parameter.uniform_(-(module.hidden_size**-0.5), module.hidden_size**-0.5, generator=generator)


class SeededDropout(nn.Module):
    """Dropout of a share of the entries with its own random generator, so that trainings in one process do not affect each other."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator = torch.Generator()

    def forward(self, values: Tensor) -> Tensor:
        """Drop entries in training mode and scale up the rest to keep the mean; pass through otherwise."""
        if not self.training or self.share == 0:
            return values
        if self.generator.device != values.device:
            # Masks are drawn where they are used.
            self.generator = torch.Generator(values.device).manual_seed(self.generator.initial_seed())
        kept = torch.rand(values.shape, generator=self.generator, device=values.device) >= self.share
        return values * kept / (1 - self.share)


def seed_dropout(model: nn.Module, seed: int, rank: int = 0) -> None:
    """Restart the masks of every `SeededDropout` in a model from a seed; every rank has its own masks."""
    for number, module in enumerate(m for m in model.modules() if isinstance(m, SeededDropout)):
        module.generator.manual_seed(seed + 7919 * number + 1_000_003 * rank)


def dropout_states(model: nn.Module) -> dict[str, Tensor]:
    """State of the generator of every `SeededDropout` by its name in the model; without those that have not drawn on its device yet."""
    device = next(model.parameters()).device
    modules = {name: module for name, module in model.named_modules() if isinstance(module, SeededDropout)}
    return {name: module.generator.get_state() for name, module in modules.items() if module.generator.device == device}


def restore_dropout(model: nn.Module, states: dict[str, Tensor]) -> None:
    """Go back to `dropout_states` of the same model on the same kind of device."""
    device = next(model.parameters()).device
    for name, state in states.items():
        module = model.get_submodule(name)
        module.generator = torch.Generator(device)
        module.generator.set_state(state)
