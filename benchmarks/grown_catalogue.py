"""A trained model over a larger catalogue than there is data for: beside the trained items stand others like them."""

from __future__ import annotations

import copy

import torch
from torch import nn

from sparcode.model.interaction import ItemTable
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel

SPREAD = 0.5


def grown(model: SparCodeModel | TwoTowerModel, n_items: int, seed: int, spread: float = SPREAD) -> SparCodeModel | TwoTowerModel:
    """A copy of a model with a larger catalogue: its own items, and as many more as are asked for, drawn from these (smoothed bootstrap).

    A new item is a trained one plus `spread` times the difference of two others over the square root of 2, vector and bias alike: that
    noise has the covariance of the items. Scores keep their distribution; queries, codes and targets are untouched.

    Parameters
    ----------
    model
        A trained model without side features of items.
    n_items
        Size of the new catalogue; fewer than there are keeps the first ones.
    seed
        Seed of the draw; equal for models of the same items gives both the same catalogue.
    spread
        Standard deviation of the noise over that of the items.
    """
    model = copy.deepcopy(model)
    owners: list[nn.Module] = [model]
    if isinstance(model, SparCodeModel):
        owners += [model.backbone, model.backbone.interaction]
    _grow(owners[-1].items, n_items, seed, spread)
    for owner in owners:
        owner.n_items = n_items
    return model


@torch.no_grad()
def _grow(items: ItemTable, n_items: int, seed: int, spread: float) -> None:
    if items.features is not None:
        raise ValueError("items with side features cannot be drawn anew")
    generator = torch.Generator().manual_seed(seed)
    n_trained = min(items.bias.numel(), n_items)
    base, one, other = (torch.randint(items.bias.numel(), (n_items - n_trained,), generator=generator) for _ in range(3))

    def drawn(values: torch.Tensor) -> torch.Tensor:
        return torch.cat([values[:n_trained], values[base].add_(values[one] - values[other], alpha=spread * 2**-0.5)])

    items.embedding = nn.Embedding.from_pretrained(drawn(items.embedding.weight))
    items.bias = nn.Parameter(drawn(items.bias))
