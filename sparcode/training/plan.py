"""What a training would do: settings, and estimates of time and memory from a few batches of every network."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sparcode.config import RunConfig
from sparcode.data.split import EvaluationSet, Split
from sparcode.device import Device
from sparcode.training.list_fit import probe_lists
from sparcode.training.pair_fit import probe_fit
from sparcode.training.pipeline import backbone_trainer, joint_trainer, preview, two_tower_trainer
from sparcode.training.trainer import Trainer, validation_recall

PROBED_BATCHES = 3
# Validation users scored, at most.
PROBED_USERS = 512


class Plan(NamedTuple):
    """Settings and estimates.

    Attributes
    ----------
    settings
        Flag -> value, where it is not the default.
    reason
        Why they are recommended; empty where they are the defaults or typed.
    epochs
        Network -> epochs at most.
    minutes
        Step -> minutes at most, all epochs; the networks that come without training, and measuring, are not among them.
    peak_gb
        Resident memory of the process at its peak, in GB, as far as training needs it.
    """

    settings: dict[str, Any]
    reason: str
    epochs: dict[str, int]
    minutes: dict[str, float]
    peak_gb: float


def plan_of(split: Split, config: RunConfig, device: Device = "auto", reason: str = "") -> Plan:
    """Train a few batches of every network at its real size, forget them, and multiply; `reason` is kept as it is."""
    training = config.training
    epochs = {"backbone": training.epochs, "SparCode": 0, "two-tower": training.epochs + training.joint_epochs}
    backbone, taken = _probed(lambda: backbone_trainer(split, config, device), split.validation, epochs["backbone"])
    seconds = {"backbone": taken}
    model = preview(backbone.model, split, config)
    if training.joint_epochs and model.has_network:
        epochs["SparCode"] = training.joint_epochs
        seconds["SparCode"] = _probed(lambda: joint_trainer(model, split, config), split.validation, epochs["SparCode"])[1]
    if fitting := probe_fit(model, split, config):
        seconds["pair features"] = fitting
    if fitting := probe_lists(model, split):
        seconds["item lists"] = fitting
    seconds["two-tower"] = _probed(lambda: two_tower_trainer(split, config, device), split.validation, epochs["two-tower"])[1]
    usual = RunConfig.for_data(False, protocol=config.split.protocol).model_dump()
    settings = {
        name: value
        for stage, fields in config.model_dump().items()
        for name, value in fields.items()
        if value != usual[stage][name] and name != "protocol"
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Plan(
        settings,
        reason,
        epochs,
        {name: round(value / 60, 2) for name, value in seconds.items()},
        round(peak / 1e9, 2),
    )


def _probed(start: Callable[[], Trainer], validation: EvaluationSet, epochs: int) -> tuple[Trainer, float]:
    """A trainer after a few batches, and the seconds of its start and of so many epochs, each with its validation."""
    started = time.perf_counter()
    trainer = start()
    of_start = time.perf_counter() - started
    of_epoch = trainer.probe(PROBED_BATCHES)
    rows = np.arange(min(PROBED_USERS, len(validation.queries)))
    some = EvaluationSet(validation.queries.take(rows), validation.targets.take(rows), validation.users[rows], validation.protocol)
    started = time.perf_counter()
    trainer.model.before_validation(trainer.queries, trainer.config)
    at_users = time.perf_counter()
    validation_recall(trainer.model, some)
    of_users = (time.perf_counter() - at_users) * len(validation.queries) / max(1, len(rows))
    return trainer, of_start + epochs * (of_epoch + at_users - started + of_users)


def plan_text(plan: Plan) -> str:
    """The plan in lines."""
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in plan.settings.items()) or "the defaults"
    lines = [f"Settings: {flags}"]
    if plan.reason:
        lines.append(f"Why: {plan.reason}")
    for name, minutes in plan.minutes.items():
        of_epochs = f", {plan.epochs[name]} epochs" if plan.epochs.get(name) else ""
        lines.append(f"{name}: about {minutes:.1f} minutes at most{of_epochs}")
    lines.append(
        f"About {sum(plan.minutes.values()):.1f} minutes and {plan.peak_gb:.1f} GB in all; closed forms, the index and measuring come on "
        "top. Nothing was trained."
    )
    return "\n".join(lines)
