"""What an experiment works with: the studio's data and settings, its models, and the job that runs it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.jobs.job import JobHandle
from app.studio import Studio
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.epoch_record import EpochRecord


class LessonProgress(NamedTuple):
    """A step of an experiment in words."""

    step: str


class Bench:
    """A studio as an experiment sees it. All work is that of one job: it ends with JobCancelled once the job is cancelled.

    Attributes
    ----------
    split, config
        The data, and the settings that the studio was started with.
    """

    def __init__(self, studio: Studio, handle: JobHandle) -> None:
        self._studio, self._handle = studio, handle
        self.split: Split = studio.split
        self.config: RunConfig = studio.config

    def tell(self, step: str) -> None:
        """Publish what is done now; ends the work of a cancelled job."""
        self.check()
        self._handle.publish(LessonProgress(step))

    def on_epoch(self, record: EpochRecord) -> None:
        """Publish an epoch."""
        self._handle.publish(record)

    def check(self) -> None:
        """End the work of a cancelled job."""
        self._handle.check()

    def should_stop(self) -> bool:
        """Whether the job is cancelled."""
        return self._handle.should_stop()

    def backbone(self, config: RunConfig) -> AllToAllModel:
        """The all-to-all model of a setting: known to the studio, recorded, or trained now."""
        return self._studio.backbones.train(config, self._handle).model

    def tuned(self, config: RunConfig) -> SparCodeModel:
        """The SparCode model of a setting after all joint epochs, as `backbone`."""
        return self._studio.tuned.train(config, math.inf, self.on_epoch, self._handle).model

    def two_tower(self, config: RunConfig) -> TwoTowerModel:
        """The two-tower model of a setting, as `backbone`."""
        return self._studio.serving.two_tower(config, self._handle, self.on_epoch).model


def changed(config: RunConfig, **stages: Mapping[str, Any]) -> RunConfig:
    """Settings with fields of some stages changed, validated; pydantic.ValidationError (a ValueError) if they do not go together."""
    values = config.model_dump()
    for stage, fields in stages.items():
        values[stage] |= fields
    return RunConfig.model_validate(values)
