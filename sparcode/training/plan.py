"""What a training would do: settings, and estimates of time and memory from a few batches of every network."""

from __future__ import annotations

import resource
import sys
from typing import Any, NamedTuple

from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.device import Device
from sparcode.training.list_fit import probe_lists
from sparcode.training.pair_fit import probe_fit
from sparcode.training.pipeline import backbone_trainer, joint_trainer, preview, two_tower_trainer

PROBED_BATCHES = 3


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
    backbone = backbone_trainer(split, config, device)
    epochs = {"backbone": training.epochs, "SparCode": 0, "two-tower": training.epochs + training.joint_epochs}
    seconds = {"backbone": backbone.probe(PROBED_BATCHES) * training.epochs}
    model = preview(backbone.model, split, config)
    if training.joint_epochs and model.has_network:
        epochs["SparCode"] = training.joint_epochs
        seconds["SparCode"] = joint_trainer(model, split, config).probe(PROBED_BATCHES) * training.joint_epochs
    if fitting := probe_fit(model, split, config):
        seconds["pair features"] = fitting
    if fitting := probe_lists(model, split):
        seconds["item lists"] = fitting
    seconds["two-tower"] = two_tower_trainer(split, config, device).probe(PROBED_BATCHES) * epochs["two-tower"]
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
        f"About {sum(plan.minutes.values()):.1f} minutes and {plan.peak_gb:.1f} GB in all; closed forms and measuring come on top. "
        "Nothing was trained."
    )
    return "\n".join(lines)
