"""The record of a training epoch and the types of the trainer's callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class EpochRecord(NamedTuple):
    """What one epoch did, as plain numbers.

    Attributes
    ----------
    epoch
        1 for the first epoch; 0 is the state before training.
    loss, commit_loss
        Batch means of the softmax and the weighted commitment loss; NaN without batches.
    recall
        Mean recall at `DEFAULT_K` on the validation users; NaN until `fit` has measured it.
    perplexity, dead_share
        Means over codebooks of the codes of training queries; NaN without codes.
    codes_in_use
        Distinct composite codes of those queries; 0 without codes.
    revived
        Codewords re-seeded.
    train_seconds
        Wall time without validation.
    stopped
        Whether `should_stop` ended the epoch early.
    """

    epoch: int
    loss: float
    commit_loss: float
    recall: float
    perplexity: float
    dead_share: float
    codes_in_use: int
    revived: int
    train_seconds: float
    stopped: bool


OnEpoch = Callable[[EpochRecord], None]
ShouldStop = Callable[[], bool]


def ignore_record(record: EpochRecord) -> None:
    """The default `OnEpoch`."""


def never_stop() -> bool:
    """The default `ShouldStop`."""
    return False
