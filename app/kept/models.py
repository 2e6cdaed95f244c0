"""The models of a kept run, in the form in which a studio takes recorded ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, TypeAdapter

from app.kept.listing import KeptAbout
from app.models.trained import Backbone, Recording, Tuned
from app.recorded.files import BACKBONE_STAGES, plain, with_nan
from app.recorded.runs import RecordedRuns
from app.training.data import TrainingData
from app.training.plan import EarlierRun, RunPlan
from app.training.run import BACKBONE, JOINT, EpochPoint, RunResult
from sparcode.config import RunConfig
from sparcode.device import choose_device
from sparcode.runs.sources import Sources
from sparcode.runs.store import Run

_POINT: Final = TypeAdapter(EpochPoint, config=ConfigDict(arbitrary_types_allowed=True))
_RESULT: Final = TypeAdapter(RunResult)


class KeptModels(RecordedRuns):
    """Backbone and SparCode of one kept run; nothing else is recorded for it.

    ValueError if epochs or figures in the description are damaged.
    """

    def __init__(self, name: str, run: Run, sources: Sources, about: KeptAbout) -> None:
        super().__init__(Path(), None, sources.interactions)
        self._kept = Recording(about.day, about.machine, name)
        points = tuple(_POINT.validate_python({**with_nan(row), "usage": None}) for row in about.points)
        self._result = _RESULT.validate_python(with_nan(about.result))
        self._points, self._config = points, run.config
        device = choose_device()
        before, after = run.records[: about.n_backbone_records], run.records[about.n_backbone_records :]
        recall, ndcg, seconds = about.backbone_recall, about.backbone_ndcg, _seconds(points, BACKBONE)
        self._own_backbone = Backbone(sources.backbone.to(device), tuple(before), recall, ndcg, seconds, self._kept)
        self._own_tuned = Tuned(run.model.to(device), tuple(after), _seconds(points, JOINT), False, self._kept)

    @property
    def recording(self) -> Recording:
        """When and where it was trained, and its name."""
        return self._kept

    def backbone(self, config: RunConfig) -> Backbone | None:
        """The run's backbone, for settings that differ at most in codes and index."""
        same = all(getattr(config, stage).content_hash() == getattr(self._config, stage).content_hash() for stage in BACKBONE_STAGES)
        return self._own_backbone if same else None

    def tuned(self, config: RunConfig) -> Tuned | None:
        """The run's own model, for its own settings."""
        return self._own_tuned if config.content_hash() == self._config.content_hash() else None

    def training(self, config: RunConfig, data: TrainingData) -> EarlierRun | None:
        """The training that made it, for its own settings."""
        if config.content_hash() != self._config.content_hash():
            return None
        has_two_tower = not math.isnan(self._result.two_tower)
        return EarlierRun(RunPlan(0, data, config, has_two_tower, self._kept), self._points, self._result)


def described_points(points: tuple[EpochPoint, ...]) -> list[dict[str, Any]]:
    """Epochs without code usage, for JSON."""
    rows = [plain(point._replace(usage=None)) for point in points]
    return [{name: value for name, value in row.items() if name != "usage"} for row in rows]


def _seconds(points: tuple[EpochPoint, ...], stage: str) -> float:
    return sum(point.seconds for point in points if point.stage == stage)
