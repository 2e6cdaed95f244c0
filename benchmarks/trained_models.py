"""Two-tower, the all-to-all backbone and SparCode at several numbers of nearest codes: trained once and kept in a folder.

Of a ready-made split, two-tower and SparCode.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
from torch import nn

from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.item_lists import ListChoice
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.list_fit import fit_lists, made, shortened
from sparcode.training.pair_fit import fit_pairs, sure_gains
from sparcode.training.pipeline import fine_tune, preview, train_backbone, train_two_tower

# Raised when training or fits change their rules: what was kept by older ones is not read again.
RULES = 3


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
        path = None if keep is None else keep / f"{data.content_hash()}-v{RULES}-{name}.safetensors"
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


class SplitModels(NamedTuple):
    """Models of a ready-made split.

    Attributes
    ----------
    sparcode
        As it is served.
    choosing
        The same without the validation users' targets in its pair features or item lists: settings of the search are chosen with it,
        for `sparcode` knows what these users are asked for.
    """

    two_tower: TwoTowerModel
    sparcode: SparCodeModel
    choosing: SparCodeModel


def split_models(data: Interactions, split: Split, config: RunConfig, keep: Path | None = None) -> SplitModels:
    """As `trained_models`. Where SparCode's codes are items and the pair features all that E knows, no backbone is trained."""
    n_items, dropout, kept_as = data.n_items, config.training.dropout, config.content_hash()

    def ready(name: str, empty: nn.Module, train: Callable[[], nn.Module]) -> nn.Module:
        path = None if keep is None else keep / f"{data.content_hash()}-v{RULES}-{name}-{kept_as}.safetensors"
        return _kept_or_trained(f"{name}-{kept_as}", path, empty, train).eval()

    def sparcode() -> SparCodeModel:
        started = AllToAllModel(n_items, config.model, dropout)
        without_network = not SparCodeModel(copy.deepcopy(started), config.quantizer).has_network
        backbone = started if without_network else train_backbone(split, config)[0]
        return _fine_tuned(backbone, split, config)

    model = ready("sparcode", SparCodeModel(AllToAllModel(n_items, config.model, dropout), config.quantizer), sparcode)
    two_tower = ready("two-tower", TwoTowerModel(n_items, config.model, dropout), lambda: train_two_tower(split, config)[0])
    return SplitModels(two_tower, model, counted_without_targets(model, split, config))


def counted_without_targets(model: SparCodeModel, split: Split, config: RunConfig) -> SparCodeModel:
    """A copy whose pair features or item lists are of the training histories without the validation users' targets.

    The model itself if it has neither.
    """
    if model.lists is not None and len(model.lists.values):
        return _listed_without_targets(copy.deepcopy(model), split)
    if model.pairs is None:
        return model
    model = copy.deepcopy(model)
    pairs = model.pairs
    fitted = pairs.shape.tolist()
    shape = PairShape(*fitted[:-1], per_code=int(fitted[-1]))
    train = split.train
    use = CodeUse.of_items(train) if model.has_item_codes else CodeUse.of_codes(*model.encode(train), train)
    gains = sure_gains(model, split, shape, config.training.seed)
    values = use.values(shape, factors=None if gains is None else gains.factors(use.codes))
    # The counts are in units of the model's own: their mean highest value is the same but for what is left out.
    values.data *= np.float32(_mean_highest(pairs.arrays[0], pairs.arrays[2]) / _mean_highest(values.indptr, values.data))
    pairs.set(use.codes, values, shape, float(pairs.network_weight))
    model.set_density(split.train_queries, config.training.density, config.training.seed)
    return model


def _listed_without_targets(model: SparCodeModel, split: Split) -> SparCodeModel:
    """The model with lists as they were chosen, made anew."""
    lists = model.lists
    alpha, per_code, shape = lists.choice.tolist()
    choice = ListChoice(alpha, int(per_code), shape)
    values = shortened(made(model, split.train, choice.shape), choice.per_code)
    lists.set(values, choice, model.threshold, alpha / float(lists.weight))
    return model


def _mean_highest(indptr: np.ndarray, values: np.ndarray) -> float:
    """Mean over rows of their highest value; 1 without values."""
    rows = np.flatnonzero(np.diff(indptr))
    return float(np.mean(np.maximum.reduceat(values, indptr[rows]))) if len(rows) else 1.0


def _fine_tuned(backbone: AllToAllModel, split: Split, config: RunConfig) -> SparCodeModel:
    model = preview(backbone, split, config)
    fine_tune(model, split, config)
    fit_pairs(model, split, config)
    fit_lists(model, split, config)
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
