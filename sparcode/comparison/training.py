"""The networks of one comparison: same split, loss and epoch budget for all, each trained when a peer first asks for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.device import Device
from sparcode.model.ranks import current
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.checkpoint import Checkpoint, StageCheckpoint
from sparcode.training.epoch_record import EpochRecord, never_stop
from sparcode.training.list_fit import fit_lists
from sparcode.training.pair_fit import fit_pairs
from sparcode.training.pipeline import (
    OnEpoch,
    ShouldStop,
    build_run_index,
    fine_tune,
    ignore_record,
    preview,
    train_backbone,
    train_two_tower,
)
from sparcode.training.time_limit import TimeLimit

Part = Literal["backbone", "sparcode", "index", "two-tower"]


# Of the time that is left for all networks.
_TIME_SHARES: Final = {"backbone": 0.35, "sparcode": 0.35, "two-tower": 0.3}


class ComparisonStopped(Exception):
    """The comparison was stopped by `should_stop`."""


class Step(NamedTuple):
    """A step of a comparison, and its maximum of epochs; 0 where it has none."""

    name: str
    epochs: int = 0


class Trained(NamedTuple):
    """A trained model or what was built from one.

    Attributes
    ----------
    seconds
        Wall time of its own training, without what it started from.
    records
        Its epochs; of joint training the untrained start first, as epoch 0.
    where
        When and where it was trained, in words; empty for this machine.
    """

    model: Any
    seconds: float = 0.0
    records: tuple[EpochRecord, ...] = ()
    where: str = ""

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return sum(record.epoch > 0 for record in self.records)


def train_networks(models: Models) -> None:
    """Train all networks in a fixed order; processes that train together must all call it."""
    for part in ("backbone", "sparcode", "two-tower"):
        models.get(part)


class Models:
    """Backbone, SparCode with its index, and two-tower of one split.

    Parameters
    ----------
    config, two_tower_config
        Settings of all networks; None: two-tower has the same.
    device
        Where the networks are trained, see `sparcode.device.choose_device`.
    given
        Parts and baselines (by their names) that are not trained here, or calls that return them when first needed.
    on_step, on_epoch
        Called with every step that starts, and every epoch of every network.
    should_stop
        Asked between batches and steps.
    checkpoint
        Keeps the networks' states after every epoch, and lets them go on from there; seconds then count from the first start.
    time_limit
        Seconds from now on in which all networks are trained, each in its share, to the best epoch that fits.

    Attributes
    ----------
    cut_short
        A sentence for every training that the time limit ended.
    """

    def __init__(
        self,
        split: Split,
        config: RunConfig,
        two_tower_config: RunConfig | None = None,
        device: Device = "auto",
        given: Mapping[str, Trained | Callable[[], Trained]] | None = None,
        on_step: Callable[[Step], None] = lambda step: None,
        on_epoch: OnEpoch = ignore_record,
        should_stop: ShouldStop = never_stop,
        checkpoint: Checkpoint | None = None,
        time_limit: float = math.inf,
    ) -> None:
        self.split, self.config, self.device = split, config, device
        self._checkpoint = checkpoint
        self._deadline = time.perf_counter() + time_limit
        self.cut_short: list[str] = []
        self._two_tower_config = two_tower_config or config
        self._on_step, self._on_epoch, self._should_stop = on_step, on_epoch, should_stop
        self._parts: dict[str, Trained | Callable[[], Trained]] = {
            "backbone": self._train_backbone,
            "sparcode": self._train_sparcode,
            "index": self._build_index,
            "two-tower": self._train_two_tower,
            **(given or {}),
        }

    def get(self, part: Part) -> Trained:
        """A part, trained now if needed; ComparisonStopped if `should_stop` returned true, DivergenceError if a loss is not finite."""
        return self.baseline(part, self._parts[part])

    def baseline(self, name: str, fit: Callable[[], Trained]) -> Trained:
        """A baseline, fitted now unless it was given or fitted before."""
        found = self._parts.get(name, fit)
        if not isinstance(found, Trained):
            found = self._parts[name] = found()
        return found

    def check(self, name: str = "the next step") -> None:
        """Raise `ComparisonStopped` if `should_stop` says so."""
        if self._should_stop():
            raise ComparisonStopped(f"stopped before: {name}")

    def start(self, name: str, epochs: int = 0) -> float:
        """Announce a step, after `check`; returns the time of its start."""
        self.check(name)
        self._on_step(Step(name, epochs))
        return time.perf_counter()

    def _train_backbone(self) -> Trained:
        epochs = self.config.training.epochs
        started, kept, limit = self.start("training the backbone", epochs), self._stage("backbone"), self._limit("backbone")
        model, records = train_backbone(self.split, self.config, self._on_epoch, self._should_stop, self.device, False, kept, limit)
        return self._trained("the backbone", model, records, epochs, started, kept, limit)

    def _train_sparcode(self) -> Trained:
        backbone, epochs = self.get("backbone").model, self.config.training.joint_epochs
        started, kept, limit = self.start("joint training", epochs), self._stage("sparcode"), self._limit("sparcode")
        model = preview(backbone, self.split, self.config)
        records = fine_tune(model, self.split, self.config, self._on_epoch, self._should_stop, kept, limit)
        self._fit_counts(model)
        return self._trained("SparCode", model, records, epochs, started, kept, limit)

    def _fit_counts(self, model: SparCodeModel) -> None:
        """Pair features and item lists, where there are any; of processes that train together the first fits them for all."""
        if current().is_first:
            self._fit_counts_alone(model)
        current().make_same(model)

    def _fit_counts_alone(self, model: SparCodeModel) -> None:
        limit = self._limit("sparcode")

        def should_stop() -> bool:
            limit.ended_training = limit.is_over()
            return limit.ended_training or self._should_stop()

        for has_any, fit_some, name in (
            (model.pairs is not None, fit_pairs, "the pair features"),
            (model.lists is not None, fit_lists, "the item lists"),
        ):
            if has_any:
                self.start(f"fitting {name}")
                fit_some(model, self.split, self.config, should_stop)
                if limit.ended_training:
                    self.cut_short.append(f"the time limit ended the fit of {name}")

    def _build_index(self) -> Trained:
        model = self.get("sparcode").model
        started = self.start("building the index")
        index = build_run_index(model, self.split.train_queries, self.config.index, self._should_stop)
        return Trained(index, time.perf_counter() - started)

    def _train_two_tower(self) -> Trained:
        config = self._two_tower_config
        epochs = config.training.epochs + config.training.joint_epochs
        started, kept, limit = self.start("training two-tower", epochs), self._stage("two-tower"), self._limit("two-tower")
        model, records = train_two_tower(self.split, config, self._on_epoch, self._should_stop, self.device, kept, limit)
        # A stopped training is no fair peer.
        self.check()
        return self._trained("two-tower", model, records, epochs, started, kept, limit)

    def _trained(
        self, name: str, model: Any, records: list[EpochRecord], epochs: int, started: float, kept: StageCheckpoint, limit: TimeLimit
    ) -> Trained:
        trained = Trained(model, time.perf_counter() - started + kept.seconds_before, tuple(records))
        if limit.ended_training:
            self.cut_short.append(f"the time limit ended the training of {name} after {trained.epochs} of at most {epochs} epochs")
        return trained

    def _limit(self, part: Part) -> TimeLimit:
        # The networks before this one have had their time.
        to_come = list(_TIME_SHARES)[list(_TIME_SHARES).index(part) :]
        share = _TIME_SHARES[part] / sum(_TIME_SHARES[name] for name in to_come)
        return TimeLimit(share * (self._deadline - time.perf_counter()))

    def _stage(self, part: Part) -> StageCheckpoint:
        return StageCheckpoint(self._checkpoint, part)
