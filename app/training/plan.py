"""The request for a training from scratch, and the record of a finished one."""

from __future__ import annotations

from typing import NamedTuple

from app.models.trained import Recording, weight_bytes
from app.training.data import TrainingData
from app.training.run import BACKBONE, JOINT, TWO_TOWER, EpochPoint, RunResult, TrainedModels
from sparcode.config import RunConfig
from sparcode.data.split import Split


class RunPlan(NamedTuple):
    """What a run was asked to do.

    `number` counts the owner's runs from 1, 0 for a recorded one; `two_tower` asks for the baseline, too; `recording` is None if trained
    here.
    """

    number: int
    data: TrainingData
    config: RunConfig
    two_tower: bool
    recording: Recording | None = None

    def without_data(self) -> RunPlan:
        """The same with only the name and the facts of its data, to be kept longer than the data."""
        return self._replace(data=self.data._replace(split=_forgotten, interactions=_forgotten))

    @property
    def name(self) -> str:
        """The run's name beside others."""
        return f"run {self.number}" if self.recording is None else self.recording.run or "recorded"

    @property
    def most_epochs(self) -> dict[str, int]:
        """Stage -> most epochs, in the order of training."""
        training = self.config.training
        stages = {BACKBONE: training.epochs, JOINT: training.joint_epochs}
        return stages | ({TWO_TOWER: training.epochs + training.joint_epochs} if self.two_tower else {})


class EarlierRun(NamedTuple):
    """A finished run: its plan, epochs (without code usage unless recorded), and figures."""

    plan: RunPlan
    points: tuple[EpochPoint, ...]
    result: RunResult


class FinishedRun(NamedTuple):
    """A finished run with its data and what was trained, so that it can be kept; figures of its epochs without code usage."""

    plan: RunPlan
    points: tuple[EpochPoint, ...]
    result: RunResult
    models: TrainedModels

    @property
    def n_bytes(self) -> int:
        """Memory of models, index and data."""
        return self.model_bytes + self.plan.data.n_bytes

    @property
    def model_bytes(self) -> int:
        """Memory of models and index."""
        index = self.models.index
        arrays = sum(array.nbytes for array in (index.codes, index.indptr, index.item_ids, index.scores))
        return arrays + weight_bytes(self.models.model) + weight_bytes(self.models.backbone)


def _forgotten() -> Split:
    raise RuntimeError("the data of a run that was started is not kept")
