"""Two-tower, the all-to-all backbone and SparCode at several numbers of nearest codes: trained once, kept in a folder, and grown.

A grown model has a larger catalogue than the data: more items like the trained ones are added.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch
from torch import nn

from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.interaction import ItemTable
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.pipeline import fine_tune, preview, train_backbone, train_two_tower

SPREAD = 0.5


class TrainedModels(NamedTuple):
    """Models of one split and seed; every SparCode model, by its number of nearest codes, started from the backbone."""

    two_tower: TwoTowerModel
    backbone: AllToAllModel
    sparcode: dict[int, SparCodeModel]


def trained_models(
    data: Interactions, split: Split, config: RunConfig, two_tower_config: RunConfig, n_nearest: tuple[int, ...], keep: Path | None = None
) -> TrainedModels:
    """Train what the folder `keep` does not hold yet for these data and settings; None keeps nothing. No side features are used."""
    n_items, dropout = data.n_items, config.training.dropout

    def ready(name: str, empty: nn.Module, train: Callable[[], nn.Module]) -> nn.Module:
        path = None if keep is None else keep / f"{data.content_hash()}-{name}.safetensors"
        return _kept_or_trained(name, path, empty, train).eval()

    two_tower = ready(
        f"two-tower-{two_tower_config.content_hash()}",
        TwoTowerModel(n_items, two_tower_config.model, two_tower_config.training.dropout),
        lambda: train_two_tower(split, two_tower_config)[0],
    )
    # Quantizer and index play no part in the backbone's training.
    backbone = ready(
        f"backbone-{config.content_hash()}", AllToAllModel(n_items, config.model, dropout), lambda: train_backbone(split, config)[0]
    )
    models = {}
    for nearest in n_nearest:
        quantizer = config.quantizer.model_copy(update={"n_nearest": nearest})
        chosen = config.model_copy(update={"quantizer": quantizer})
        empty = SparCodeModel(AllToAllModel(n_items, config.model, dropout), quantizer)
        models[nearest] = ready(f"sparcode-{chosen.content_hash()}", empty, lambda chosen=chosen: _fine_tuned(backbone, split, chosen))
    return TrainedModels(two_tower, backbone, models)


def _fine_tuned(backbone: AllToAllModel, split: Split, config: RunConfig) -> SparCodeModel:
    model = preview(backbone, split, config)
    fine_tune(model, split, config)
    return model


def _kept_or_trained(name: str, path: Path | None, empty: nn.Module, train: Callable[[], nn.Module]) -> nn.Module:
    if path is not None and path.exists():
        empty.load_state_dict(safetensors.torch.load_file(path))
        return empty
    started = time.perf_counter()
    model = train()
    print(f"{name}: trained in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return model


def grown(model: SparCodeModel | TwoTowerModel, n_items: int, seed: int, spread: float = SPREAD) -> SparCodeModel | TwoTowerModel:
    """A copy of a model with a larger catalogue: its own items, and more drawn from them by a smoothed bootstrap.

    A new item is a trained one plus `spread` times the difference of two others over the square root of 2, vector and bias alike: that
    noise has the covariance of the items, so scores keep their distribution. Fewer items than trained keep the first ones. Equal seeds give
    models of the same items the same catalogue. ValueError if items have side features.
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
