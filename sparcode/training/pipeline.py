"""The stages of a run: backbone -> preview -> joint fine-tuning -> index -> serving; and the baselines."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from sparcode.baselines.ease import EASE
from sparcode.config import IndexConfig, ModelConfig, RunConfig, TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import Split
from sparcode.device import Device, choose_device, device_of
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut, as_served, floor_for_density
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.ranks import current
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.trainable import TrainableModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.checkpoint import StageCheckpoint
from sparcode.training.epoch_record import EpochRecord, OnEpoch, ShouldStop, ignore_record, never_stop
from sparcode.training.fit import fit
from sparcode.training.list_fit import fit_lists
from sparcode.training.pair_fit import fit_pairs
from sparcode.training.spectral_start import start_spectrally
from sparcode.training.teachers import BackboneTeacher, EaseTeacher, Teacher
from sparcode.training.time_limit import TimeLimit
from sparcode.training.trainer import Trainer, validation_recall

TEACHER_MAX_ITEMS = 10_000
# Beside the default, values that say the same as a setting without effect.
_SAYS_THE_SAME = {"first_part_share": 0, "teacher_weight": 0}
_WITH_ITEMS, _WITH_USERS = ("items", "both"), ("users", "both")


def check_side_features(split: Split, config: ModelConfig) -> None:
    """Raise ValueError, with what is allowed, if the data lacks the side features that the settings choose."""
    chosen, lacking = config.side_features, []
    split.protocol.check_side_features(chosen)
    if chosen in _WITH_ITEMS and split.item_features is None:
        lacking.append("items (genres)")
    if chosen in _WITH_USERS and split.train.n_features == 0:
        lacking.append("users")
    if lacking:
        allowed = ["none"] + ["items"] * (split.item_features is not None) + ["users"] * (split.train.n_features > 0)
        raise ValueError(
            f"side_features={chosen!r}: the data has no side features of {' and '.join(lacking)}; "
            f"allowed is {' or '.join(repr(choice) for choice in allowed)}"
        )


def check_settings_act(split: Split, config: TrainingConfig) -> None:
    """Raise ValueError if settings of training have no effect on this data; `RunConfig` checks them against other settings."""
    usual = TrainingConfig()
    for field, reason in _without_effect(split, config).items():
        if (value := getattr(config, field)) not in (getattr(usual, field), _SAYS_THE_SAME.get(field)):
            raise ValueError(f"{field}={value} does nothing{reason}; leave it out")


def with_idle_reset(split: Split, config: RunConfig, typed: Collection[str]) -> RunConfig:
    """The settings with fields of training that have no effect on this data, except those `typed`, at their defaults."""
    usual = TrainingConfig()
    idle = {field: getattr(usual, field) for field in _without_effect(split, config.training) if field not in typed}
    return config.model_copy(update={"training": config.training.model_copy(update=idle)})


def _without_effect(split: Split, config: TrainingConfig) -> dict[str, str]:
    """Field -> why it has no effect on this data. Not `joint_teacher`: its default depends on the data."""
    n_items, found = split.train.n_items, {}
    if not split.has_time and split.protocol.shows_history:
        found["first_part_share"] = " where the data has no times"
    if n_items > TEACHER_MAX_ITEMS:
        reason = f": EASE teaches on at most {TEACHER_MAX_ITEMS} items, the data has {n_items}"
        found |= dict.fromkeys(("teacher_scale", "ease_sees"), reason)
    if _is_sampled(config, n_items):
        found |= dict.fromkeys(("teacher_weight", "teacher_scale", "ease_sees"), f" with n_negatives={config.n_negatives}")
    else:
        reason = f" with n_negatives={config.n_negatives}: the data has {n_items} items, and all are scored"
        found |= dict.fromkeys(("negatives", "embedding_steps"), reason)
    return found


def _is_sampled(config: TrainingConfig, n_items: int) -> bool:
    return 0 < config.n_negatives < n_items


def backbone_trainer(split: Split, config: RunConfig, device: Device = "auto") -> Trainer:
    """The trainer of an untrained all-to-all model."""
    model = AllToAllModel(split.train.n_items, config.model, config.training.dropout, *_side_features(split, config))
    return _start(model, split, config, device)


def two_tower_trainer(split: Split, config: RunConfig, device: Device = "auto") -> Trainer:
    """The trainer of an untrained two-tower model."""
    model = TwoTowerModel(split.train.n_items, config.model, config.training.dropout, *_side_features(split, config))
    return _start(model, split, config, device, config.training.epochs + config.training.joint_epochs)


def joint_trainer(model: SparCodeModel, split: Split, config: RunConfig) -> Trainer:
    """The trainer of a preview."""
    return _trainer(model, split, config, backbone=model.backbone if config.training.joint_teacher == "backbone" else None)


def train_backbone(
    split: Split,
    config: RunConfig,
    on_epoch: OnEpoch = ignore_record,
    should_stop: ShouldStop = never_stop,
    device: Device = "auto",
    with_start: bool = False,
    checkpoint: StageCheckpoint | None = None,
    limit: TimeLimit | None = None,
) -> tuple[AllToAllModel, list[EpochRecord]]:
    """Train the continuous all-to-all model to its best validation recall; callbacks, checkpoint and limit as for `fit`.

    The model stays on `device`, and so does what is made from it; see `sparcode.device.choose_device`. `with_start` puts the untrained
    model first among the records, as epoch 0.
    """
    trainer = backbone_trainer(split, config, device)
    model = trainer.model
    start = [trainer.initial_record()._replace(recall=validation_recall(model, split.validation))] if with_start else []
    for record in start:
        on_epoch(record)
    return model, start + fit(trainer, split.validation, on_epoch, should_stop, checkpoint, limit)


def train_two_tower(
    split: Split,
    config: RunConfig,
    on_epoch: OnEpoch = ignore_record,
    should_stop: ShouldStop = never_stop,
    device: Device = "auto",
    checkpoint: StageCheckpoint | None = None,
    limit: TimeLimit | None = None,
) -> tuple[TwoTowerModel, list[EpochRecord]]:
    """Train the two-tower baseline on the same users, loss and epoch budget; arguments as for `train_backbone`.

    Its budget includes SparCode's joint epochs, so both models may see the data equally often.
    """
    trainer = two_tower_trainer(split, config, device)
    return trainer.model, fit(trainer, split.validation, on_epoch, should_stop, checkpoint, limit)


def preview(backbone: AllToAllModel, split: Split, config: RunConfig) -> SparCodeModel:
    """Quantize a copy of a trained backbone by k-means, without training."""
    training = config.training
    model = SparCodeModel.from_backbone(backbone, config.quantizer, split.train_queries, training.density, training.seed)
    current().make_same(model)
    return model


def fine_tune(
    model: SparCodeModel,
    split: Split,
    config: RunConfig,
    on_epoch: OnEpoch = ignore_record,
    should_stop: ShouldStop = never_stop,
    checkpoint: StageCheckpoint | None = None,
    limit: TimeLimit | None = None,
) -> list[EpochRecord]:
    """Train encoder, codebooks and interaction network jointly, in place, to the best validation recall, the start included.

    To go on from a checkpoint, the model must be the same preview as at the start: the backbone in it is the teacher.
    """
    if config.training.joint_epochs == 0 or not model.has_network:
        return []
    return fit(joint_trainer(model, split, config), split.validation, on_epoch, should_stop, checkpoint, limit)


def train_sparcode(
    split: Split, config: RunConfig, on_epoch: OnEpoch = ignore_record, should_stop: ShouldStop = never_stop, device: Device = "auto"
) -> tuple[SparCodeModel, AllToAllModel, list[EpochRecord]]:
    """Train backbone, preview and joint model from scratch; return SparCode, its original backbone and the records of both stages."""
    backbone, records = train_backbone(split, config, on_epoch, should_stop, device)
    model = preview(backbone, split, config)
    if not should_stop():
        records = records + fine_tune(model, split, config, on_epoch, should_stop)
        fit_pairs(model, split, config, should_stop)
        fit_lists(model, split, config, should_stop)
    return model, backbone, records


def build_run_index(model: SparCodeModel, train: Histories, config: IndexConfig, should_stop: ShouldStop = never_stop) -> InvertedIndex:
    """Index every code that a training query uses, and every item list: some may hold only what validation users are asked for.

    Scores down to the floor (the share `floor_density` of all, or the model's threshold if lower) are stored, so the threshold can move.
    Item lists are stored whole, and have no part in that share.
    """
    of_heads = model.without_lists(model.distinct_codes(train))
    codes = of_heads if model.lists is None else np.concatenate([of_heads, model.lists.listed()])
    floor = min(floor_for_density(model, of_heads, config.floor_density, config.block_codes), model.threshold)
    floor = max(floor, model.lowest_threshold)
    return build_index(model, codes, floor, config.block_codes, should_stop)


def serve(model: SparCodeModel, index: InvertedIndex, config: IndexConfig, cut: Cut | None = None, n_threads: int = 0) -> SparseRetriever:
    """A retriever over a run's index, with the layout and treatment of codes without a list that its settings name.

    `cut` is by default at the threshold that the model was trained with; `n_threads` as for `SparseRetriever`. ValueError if the threshold
    is below the index's floor, or as for `sparcode.index.block_index.block_index`.
    """
    cut = cut or Cut(max(model.threshold, index.floor))
    return SparseRetriever(model, as_served(index, cut, config.postings), cut, config.unseen, n_threads)


def _start(model: TrainableModel, split: Split, config: RunConfig, device: Device, epochs: int | None = None) -> Trainer:
    check_settings_act(split, config.training)
    # Weights are drawn on the CPU, so that a seed means the same start everywhere.
    initialise(model, config.training.seed)
    if config.training.start == "spectral":
        start_spectrally(model, split.train, config.training.seed)
    current().make_same(model)
    return _trainer(model.to(choose_device(device)), split, config, epochs)


def _side_features(split: Split, config: RunConfig) -> tuple[int, torch.Tensor | None]:
    """Number of user features and the item features that the networks see."""
    check_side_features(split, config.model)
    chosen = config.model.side_features
    n_features = split.train.n_features if chosen in _WITH_USERS else 0
    seen = split.item_features if chosen in _WITH_ITEMS else None
    return n_features, None if seen is None else torch.from_numpy(seen)


def _trainer(
    model: TrainableModel, split: Split, config: RunConfig, epochs: int | None = None, backbone: AllToAllModel | None = None
) -> Trainer:
    teacher = _teacher(split, config.training, device_of(model), backbone)
    return Trainer(model, split.train, config.training, epochs, split.has_time, teacher, split.protocol)


def _teacher(split: Split, config: TrainingConfig, device: torch.device, backbone: AllToAllModel | None = None) -> Teacher | None:
    """The backbone if given, else EASE; None where settings, catalogue or queries without a history rule teachers out."""
    train = split.train
    if not split.protocol.shows_history or config.teacher_weight == 0 or _is_sampled(config, train.n_items):
        return None
    if backbone is not None:
        return BackboneTeacher(backbone)
    if train.n_items > TEACHER_MAX_ITEMS:
        return None
    return EaseTeacher(EASE().fit(train).weights_, config.teacher_scale, device, config.ease_sees == "history")
