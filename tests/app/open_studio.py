"""A studio on tiny data, what goes on in it, and the tiny model measured as in it."""

from __future__ import annotations

from app.jobs.job import JobSnapshot
from app.measured.measured_index import MeasuredIndex, ModelFacts, measure
from app.measured.setting_jobs import View
from app.models.tuned import fine_tune_within
from app.studio import Studio
from sparcode.config import RunConfig
from sparcode.training.epoch_record import EpochRecord
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, tiny_model, tiny_split

FACTS = ModelFacts("preview", CONFIG, (), lambda: 1.5, cut_short=False)


def ended(studio: Studio, key: str) -> JobSnapshot:
    """The job once it is over."""
    job = studio.jobs.wait(key, lambda snapshot: False, PATIENCE)
    assert job is not None
    assert not job.active
    return job


def looked_at(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """What a page shows that waits for the first figures."""
    return studio.setting_jobs.follow(config, owner, PATIENCE)


def settled(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """The view once nothing of it changes any more, as a page that looks again and again sees it."""
    for _ in range(20):
        view = looked_at(studio, config, owner)
        if not view.active:
            return view
        for job in (view.waiting, view.tuning):
            if job is not None and job.active:
                ended(studio, job.key)
    raise AssertionError("the view does not come to rest")


def go_on() -> None:
    """The `check` of work that nobody stops."""


def measured() -> list[MeasuredIndex]:
    """Every stage that measuring the tiny model publishes."""
    stages: list[MeasuredIndex] = []
    measure(tiny_model(), FACTS, tiny_split(), stages.append, go_on)
    return stages


def tuned_in_part(model: object, split: object, config: object, seconds: float, *rest: object) -> tuple[list[EpochRecord], bool]:
    """`fine_tune_within`, cut short unless it may take any time."""
    return fine_tune_within(model, split, config, seconds, *rest)[0], seconds < float("inf")


def tuned_too_late(model: object, split: object, config: object, seconds: float, *rest: object) -> tuple[list[EpochRecord], bool]:
    """`fine_tune_within`, without time for a batch unless it may take any time."""
    return fine_tune_within(model, split, config, 0.0 if seconds < float("inf") else seconds, *rest)
