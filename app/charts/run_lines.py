"""The lines in the charts of a training: the run, its baselines on the same axes, and earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from app.charts.epoch_lines import EpochLine, EpochLinesData, epoch_line
from app.theme import MODEL_STYLES
from app.training.run import BACKBONE, JOINT, TWO_TOWER, EpochPoint
from sparcode.config import DEFAULT_K

RECALL: Final = "Recall on validation users"
RECALL_AXIS: Final = f"Recall@{DEFAULT_K}"
NO_CODES: Final = "Starts with SparCode's first epoch"


class Ghost(NamedTuple):
    """An earlier run: a short name, its settings in words, its epochs."""

    name: str
    note: str
    points: tuple[EpochPoint, ...]


def stage_points(points: Sequence[EpochPoint], stage: str) -> tuple[EpochPoint, ...]:
    """The epochs of one stage."""
    return tuple(point for point in points if point.stage == stage)


def boundary_of(points: Sequence[EpochPoint]) -> float | None:
    """Epochs of the backbone, from which SparCode's own epochs count on; None before SparCode has begun."""
    if not stage_points(points, JOINT):
        return None
    return float(max((point.epoch for point in stage_points(points, BACKBONE)), default=0))


def recall_lines(points: Sequence[EpochPoint], baseline: Sequence[EpochPoint], ghosts: Sequence[Ghost]) -> EpochLinesData:
    """Validation recall of SparCode, all-to-all, two-tower (`baseline`, may be empty), and earlier runs on the same data."""
    lines = [epoch_line(ghost.name, *_one_after_the_other(ghost.points), None, ghost.note) for ghost in ghosts]
    lines += _lines(baseline, "recall", (TWO_TOWER,), 0.0) + _lines(points, "recall", (BACKBONE, JOINT), boundary_of(points))
    backbone, joint = stage_points(points, BACKBONE), stage_points(points, JOINT)
    level = max((point.recall for point in backbone), default=None) if joint else None
    return EpochLinesData(RECALL, RECALL_AXIS, tuple(lines), boundary_of(points), level, "best of all-to-all" if level is not None else "")


def loss_lines(points: Sequence[EpochPoint], baseline: Sequence[EpochPoint]) -> EpochLinesData:
    """Training loss of all stages; see `recall_lines`."""
    lines = _lines(baseline, "loss", (TWO_TOWER,), 0.0) + _lines(points, "loss", (BACKBONE, JOINT), boundary_of(points))
    return EpochLinesData("Loss", "mean over batches", tuple(lines), boundary_of(points), from_zero=False)


def code_lines(points: Sequence[EpochPoint], field: str, title: str, y_title: str, scale: float = 1.0) -> EpochLinesData:
    """One field of `EpochPoint`, times `scale`, over SparCode's epochs, its state after k-means at 0; titles include units."""
    joint = stage_points(points, JOINT)
    epochs, values = (np.array([getattr(point, name) for point in joint], dtype=np.float64) for name in ("epoch", field))
    return EpochLinesData(title, y_title, (epoch_line(JOINT, epochs, scale * values, MODEL_STYLES[JOINT]),), note=NO_CODES)


def _lines(points: Sequence[EpochPoint], field: str, stages: Sequence[str], boundary: float | None) -> list[EpochLine]:
    lines = []
    for stage in stages:
        kept = stage_points(points, stage)
        first = (boundary or 0.0) if stage == JOINT else 0.0
        epochs = np.array([first + point.epoch for point in kept])
        lines.append(epoch_line(stage, epochs, np.array([getattr(point, field) for point in kept]), MODEL_STYLES[stage]))
    return lines


def _one_after_the_other(points: Sequence[EpochPoint]) -> tuple[np.ndarray, np.ndarray]:
    lines = _lines(points, "recall", (BACKBONE, JOINT), boundary_of(points))
    return np.concatenate([line.epochs for line in lines]), np.concatenate([line.values for line in lines])
