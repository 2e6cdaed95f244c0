"""Trained models with their epochs, training time, and date and machine of the recording."""

from __future__ import annotations

import math
from datetime import date
from typing import NamedTuple

from torch import nn

from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.epoch_record import EpochRecord


class Recording(NamedTuple):
    """Date (``YYYY-MM-DD``) and machine (see `sparcode.runs.machine.machine_facts`) of what was trained or measured earlier.

    `run` is the name of a run that a visitor kept; empty for what is stored with the studio.
    """

    day: str
    machine: str
    run: str = ""

    @property
    def day_words(self) -> str:
        """The date for people."""
        when = date.fromisoformat(self.day)
        return f"on {when.day} {when:%B %Y}"

    @property
    def words(self) -> str:
        """Date and machine for people."""
        return f"{self.day_words} ({self.machine})"


class Backbone(NamedTuple):
    """The trained continuous all-to-all model that every preview starts from.

    `recall` and `ndcg` are at `DEFAULT_K` on the test users, scoring every item: the upper bound for codes. `seconds` is training time;
    `recording` is None if trained here.
    """

    model: AllToAllModel
    records: tuple[EpochRecord, ...]
    recall: float
    ndcg: float
    seconds: float
    recording: Recording | None = None


class Tuned(NamedTuple):
    """A fine-tuned model at its best epoch.

    Attributes
    ----------
    records
        Its epochs, the preview's state first.
    seconds
        Training time, the preview included.
    cut_short
        Whether the time limit ended the training, not the epochs or the patience of its settings.
    recording
        When and where it was trained; None: here.
    """

    model: SparCodeModel
    records: tuple[EpochRecord, ...]
    seconds: float
    cut_short: bool
    recording: Recording | None = None

    @property
    def trained(self) -> bool:
        """Whether at least one batch was trained; if not, the model is still the preview."""
        return any(not math.isnan(record.loss) for record in self.records)


def weight_bytes(model: nn.Module) -> int:
    """Bytes of a model's weights."""
    return sum(value.nbytes for value in model.state_dict().values())
