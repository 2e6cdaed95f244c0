"""The Overview's comparison of SparCode with its peers on one split, measured as a job or recorded."""

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
    """The finished table in the order shown, with a sentence for each model left out.

    If it was recorded, latency and training time are those of the recording's machine.
    """

    rows: tuple[Measurement, ...]
    left_out: tuple[str, ...]
    recording: Recording | None = None


class Step(NamedTuple):
    """The current step of a comparison, and the epoch it has reached (None outside training)."""

    name: str
    record: EpochRecord | None


def compare(
    split: Split, config: RunConfig, backbone: Backbone, tuned: Tuned, handle: JobHandle, two_tower: Callable[[OnEpoch], Trained]
) -> Comparison:
    """Measure SparCode and the backbone, both trained already with `config`; train and measure the peers.

    The handle publishes each `Step` and each `Measurement`. `two_tower` gives the two-tower model, and tells the epochs if it has to be
    trained.
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
    """The studio's models for a comparison."""
    return {
        part: Trained(kept.model, kept.seconds, tuple(kept.records), kept.recording.words if kept.recording else "")
        for part, kept in (("backbone", backbone), ("sparcode", tuned))
    }


def left_out_sentences(left_out: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for every missing peer."""
    return tuple(f"{name} is left out: {reason}" for name, reason in left_out.items())
