"""The settings on the Pareto front of a search, fine-tuned in the background one after the other, behind all other work."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from cachetools import LRUCache

from app.jobs.job import JobHandle, JobSnapshot
from app.jobs.scoped import Jobs
from app.measured.indexes import MeasuredIndexes
from app.measured.setting_grids import grid_key, placed, searched_thresholds
from app.models.tuned import TunedModels
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.setting_grid import GridPoint, model_points
from sparcode.config import RunConfig
from sparcode.data.split import Split

FRONT: Final = "front"
# Between two looks at whether other work is over.
LOOK_SECONDS: Final = 0.1
_KEPT: Final = 1024

Codes = tuple[int, int, int]


class FrontProgress(NamedTuple):
    """M, K and P of the setting that is being fine-tuned, and its epochs so far; `waits` while other work goes first."""

    codes: Codes
    n_epochs: int
    waits: bool = False


class FrontTuning:
    """Fine-tunes settings of a front, all epochs each, through the cache of tuned models. Safe to share between threads.

    `jobs` has the lane `FRONT`; `at_work` gives the keys of the running jobs. Between two batches the work rests while any other job runs,
    whoever asked for that one. An index of a setting whose fine-tuning the clock had ended is measured anew.
    """

    def __init__(self, split: Split, jobs: Jobs, tuned: TunedModels, indexes: MeasuredIndexes, at_work: Callable[[], set[str]]) -> None:
        self._split, self._jobs, self._tuned, self._indexes, self._at_work = split, jobs, tuned, indexes, at_work
        self._found: LRUCache[str, tuple[GridPoint, ...]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def start(self, config: RunConfig, settings: Sequence[Codes], owner: str) -> JobSnapshot:
        """Fine-tune and measure settings in this order, each unless it is known already, or join the work under way."""
        label = f"fine-tuning the front of {len(settings)} settings"
        return self._jobs.submit(front_key(config), label, lambda handle: self._tune(config, settings, handle), owner, FRONT)

    def job(self, config: RunConfig) -> JobSnapshot | None:
        """The last such work on a search; None if there is none (any more)."""
        return self._jobs.get(front_key(config))

    def found(self, config: RunConfig, settings: Sequence[Codes]) -> dict[Codes, tuple[GridPoint, ...]]:
        """The points of settings that are fine-tuned, each at all thresholds of a search, in the order of `settings`.

        A setting whose fine-tuned model needs more codes than a search takes has none.
        """
        with self._lock:
            known = {codes: self._found.get(config_of(config, codes).content_hash()) for codes in settings}
        return {codes: points for codes, points in known.items() if points is not None}

    def _tune(self, config: RunConfig, settings: Sequence[Codes], handle: JobHandle) -> None:
        for codes in settings:
            if not self.found(config, [codes]):
                self._tune_one(config, codes, handle)

    def _tune_one(self, config: RunConfig, codes: Codes, handle: JobHandle) -> None:
        wanted, progress = config_of(config, codes), FrontProgress(codes, 0)

        def publish(record: FrontProgress) -> None:
            nonlocal progress
            progress = record
            handle.publish(record)

        def stops() -> bool:
            return self._stops(front_key(config), handle, lambda waits: publish(progress._replace(waits=waits)))

        publish(progress)
        behind = JobHandle(handle.publish, stops)
        tuned = self._tuned.train(wanted, math.inf, lambda record: publish(FrontProgress(codes, record.epoch)), behind)
        points = model_points(tuned.model, self._split, wanted, searched_thresholds, behind.check)
        shown = self._indexes.get("fine-tuned", wanted)
        if shown is not None and shown.cut_short:
            self._indexes.measure_tuned(wanted, tuned, behind, lambda: bool(self._at_work() - {front_key(config)}))
        with self._lock:
            self._found[wanted.content_hash()] = tuple(placed(points or ()))

    def _stops(self, key: str, handle: JobHandle, tell: Callable[[bool], None]) -> bool:
        """Whether to stop; does not return before other jobs are over."""
        looking, waited = threading.Event(), False
        while not (stops := handle.should_stop()) and self._at_work() - {key}:
            if not waited:
                waited = True
                handle.rests(True)
                tell(True)
            looking.wait(LOOK_SECONDS)
        if waited:
            handle.rests(False)
            tell(False)
        return stops


def front_key(config: RunConfig) -> str:
    """Key of the work on the front of a search over a setting's M, K and P."""
    return f"{FRONT}/{grid_key(config)}"


def config_of(config: RunConfig, codes: Codes) -> RunConfig:
    """The settings of a point of the search: everything but M, K and P as in `config`."""
    quantizer = config.quantizer.model_copy(update=dict(zip(("n_codebooks", "codebook_size", "n_nearest"), codes, strict=True)))
    return config.model_copy(update={"quantizer": quantizer})


def front_settings(points: Sequence[GridPoint], first: GridPoint | None, budget: float | None) -> list[Codes]:
    """M, K and P on the Pareto front of points, each once, in the order in which they are worth fine-tuning.

    The answer `first`, then those that fit the `budget` in bytes (None: all fit) by the recall of their best such point, then the others.
    """
    best: dict[Codes, tuple[bool, float]] = {}
    for point in pareto_front(points, lambda point: point.size_bytes):
        fits = budget is None or point.size_bytes <= budget
        best[point.codes] = max(best.get(point.codes, (False, 0.0)), (fits, point.recall))
    order = sorted(best, key=lambda codes: best[codes], reverse=True)
    return order if first is None else [first.codes, *(codes for codes in order if codes != first.codes)]


def progress_of(job: JobSnapshot) -> FrontProgress | None:
    """What is being fine-tuned; None before the first setting."""
    return next((record for record in reversed(job.records) if isinstance(record, FrontProgress)), None)
