"""Trained models as the studio keeps them: with their epochs and what they took."""

from __future__ import annotations

from typing import NamedTuple

from app.models.recording import Recording
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.epoch_record import EpochRecord


class Backbone(NamedTuple):
    """The continuous all-to-all model that every preview starts from.

    Attributes
    ----------
    model
        Trained.
    records
        Its epochs.
    recall, ndcg
        At 50 on the test users, scoring every item: what codes can reach at best.
    seconds
        Training time.
    recording
        When and where it was trained, if not here.
    """

    model: AllToAllModel
    records: tuple[EpochRecord, ...]
    recall: float
    ndcg: float
    seconds: float
    recording: Recording | None = None


class Tuned(NamedTuple):
    """A fine-tuned model.

    Attributes
    ----------
    model
        At its best epoch.
    records
        Its epochs, the preview's state first.
    seconds
        Training time, the preview included.
    cut_short
        Whether the time for it ended the training, not the epochs or the patience of its settings.
    recording
        When and where it was trained, if not here.
    """

    model: SparCodeModel
    records: tuple[EpochRecord, ...]
    seconds: float
    cut_short: bool
    recording: Recording | None = None


class TrainedTwoTower(NamedTuple):
    """The two-tower model that every comparison holds SparCode against.

    Attributes
    ----------
    model
        At its best epoch.
    epochs
        Epochs it was trained for.
    seconds
        Training time.
    """

    model: TwoTowerModel
    epochs: int
    seconds: float
