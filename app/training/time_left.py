"""Estimate of a training's remaining time, from the epochs measured so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from app.training.run import EpochPoint

# The first epoch also loads and compiles.
_LATEST: Final = 5


class TimeLeft(NamedTuple):
    """An upper bound, because training may end early: seconds of the stages whose pace is known, and the stages where it is not."""

    seconds: float
    unknown: tuple[str, ...]


def pace_of(points: Sequence[EpochPoint], stage: str) -> float | None:
    """Mean seconds of the latest epochs of a stage; None before its first one."""
    timed = [point.seconds for point in points if point.stage == stage and point.epoch > 0][-_LATEST:]
    return sum(timed) / len(timed) if timed else None


def time_left(points: Sequence[EpochPoint], most: Mapping[str, int], known: Mapping[str, float]) -> TimeLeft:
    """Remaining epochs times the seconds of one.

    `most` maps stage -> most epochs, in the order of training; `known` stage -> seconds per epoch in an earlier run of the same settings,
    for stages not reached yet.
    """
    stages = [stage for stage, epochs in most.items() if epochs > 0]
    reached = stages.index(points[-1].stage) if points and points[-1].stage in stages else 0
    seconds, unknown = 0.0, []
    for stage in stages[reached:]:
        pace = pace_of(points, stage) or known.get(stage)
        done = max((point.epoch for point in points if point.stage == stage), default=0)
        if pace is None:
            unknown.append(stage)
        else:
            seconds += pace * max(0, most[stage] - done)
    return TimeLeft(seconds, tuple(unknown))
