"""SparCode beside its peers on one split, as the Overview shows it: measured here as a job, or recorded before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from app.jobs.job import JobHandle
from app.models.trained import Backbone, Recording, Tuned
from sparcode.comparison.measuring import Measurement, compare_peers
from sparcode.comparison.peers import ROSTER
from sparcode.comparison.training import Models, Trained
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import OnEpoch


class Comparison(NamedTuple):
    """The finished table.

    Attributes
    ----------
    rows
        In the order they are shown.
    left_out
        Why there is no row for a model, one sentence each.
    recording
        When and where all of it was measured, if not here: latency and training time are those of that machine.
    """

    rows: tuple[Measurement, ...]
    left_out: tuple[str, ...]
    recording: Recording | None = None


class Step(NamedTuple):
    """What a comparison is doing: a step's name, and the epoch it has reached (None outside training)."""

    name: str
    record: EpochRecord | None


def compare(
    split: Split, config: RunConfig, backbone: Backbone, tuned: Tuned, handle: JobHandle, two_tower: Callable[[OnEpoch], Trained]
) -> Comparison:
    """Measure SparCode and the backbone, train and measure the peers.

    Parameters
    ----------
    split
        The same for all.
    config
        The settings all were trained with.
    backbone, tuned
        Trained already.
    handle
        Told each `Step`, and each `Measurement` as it is ready.
    two_tower
        Gives the two-tower model, and tells the epochs if it has to be trained.
    """

    def told(record: EpochRecord) -> None:
        handle.publish(Step("training two-tower", record))

    models = Models(
        split,
        config,
        given={**given_models(backbone, tuned), "two-tower": lambda: two_tower(told)},
        on_step=lambda step: handle.publish(Step(step.name, None)),
        should_stop=handle.should_stop,
    )
    rows, left_out = compare_peers(ROSTER, models, on_row=handle.publish)
    return Comparison(tuple(rows), left_out_sentences(left_out))


def given_models(backbone: Backbone, tuned: Tuned) -> dict[str, Trained]:
    """Models of the studio as a comparison takes them."""
    return {
        part: Trained(kept.model, kept.seconds, tuple(kept.records), kept.recording.words if kept.recording else "")
        for part, kept in (("backbone", backbone), ("sparcode", tuned))
    }


def left_out_sentences(left_out: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for every peer that is missing."""
    return tuple(f"{name} is left out: {reason}" for name, reason in left_out.items())
