"""Trainings from scratch: one at a time per browser, with pause, time estimate and the browser's earlier runs."""

from __future__ import annotations

import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from cachetools import LRUCache

from app.jobs.byte_cache import ByteCache
from app.jobs.job import ACTIVE, JobHandle, JobSnapshot, JobState
from app.jobs.manager import JobManager
from app.training.control import Pace, TrainingControl
from app.training.data import DataShelf, TrainingData
from app.training.plan import EarlierRun, FinishedRun, RunPlan
from app.training.run import (
    TWO_TOWER,
    Baseline,
    EpochPoint,
    RunResult,
    TrainedModels,
    TrainingMonitor,
    train_from_scratch,
    train_two_tower_baseline,
)
from app.training.time_left import TimeLeft, pace_of, time_left
from sparcode.config import RunConfig, SplitConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split

FROM_SCRATCH: Final = "from scratch"
KEPT_RUNS: Final = 8
# In seconds, mostly enough for the current batch, so that a page shows the pause at once.
PAUSE_PATIENCE: Final = 0.3
KEPT_OWNERS: Final = 64
# Of finished runs that were not kept.
_FINISHED_BYTES: Final = 384 * 2**20
_BASELINE_BYTES: Final = 4 * 2**20
_KEY: Final = "from scratch/"
_POINT_BYTES: Final = 512
_KEPT_PACES: Final = 256
_RUN_ID: Final = re.compile(r"([0-9a-f]{8})-[0-9]{1,9}")


class TrainingView(NamedTuple):
    """What an owner's page shows.

    Attributes
    ----------
    plan
        The owner's latest run; if there never was one, or it is forgotten, the recorded run, or None.
    left, seconds
        Time it still takes, and time it has worked.
    baseline
        Epochs of the two-tower baseline of the same data and networks, from this run or an earlier one; empty if it was never trained.
    earlier
        The owner's finished runs, oldest first, without this one; before them the recorded run, unless it is the one shown.
    result
        Figures of the run once it is finished.
    ahead
        Time that the runs still take which a queued one waits for.
    """

    plan: RunPlan | None
    job: JobSnapshot | None
    pace: Pace
    points: tuple[EpochPoint, ...]
    left: TimeLeft
    seconds: float
    baseline: tuple[EpochPoint, ...]
    earlier: tuple[EarlierRun, ...]
    result: RunResult | None = None
    ahead: tuple[TimeLeft, ...] = ()

    @property
    def state(self) -> JobState | None:
        """The state of the run's job; None for a recorded one."""
        return None if self.job is None else self.job.state

    @property
    def active(self) -> bool:
        """Whether the run is queued or running."""
        return self.state in ACTIVE


@dataclass(eq=False)
class _Started:
    plan: RunPlan
    control: TrainingControl


class TrainingSession:
    """All owners' trainings from scratch. Safe to share between threads.

    `jobs` has the lane `FROM_SCRATCH`, which a paused run leaves to others; a run is paused when its visitor has left. `shelf` is the data
    to choose from, `has_gone` as there.
    """

    def __init__(
        self,
        jobs: JobManager,
        interactions: Interactions,
        split: Split,
        config: SplitConfig,
        has_gone: Callable[[str], bool] = lambda owner: False,
    ) -> None:
        self._jobs = jobs
        self.shelf = DataShelf(interactions, split, config, has_gone)
        self._lock = threading.Lock()
        self._started: LRUCache[str, _Started] = LRUCache(KEPT_OWNERS)
        self._earlier: LRUCache[str, deque[EarlierRun]] = LRUCache(KEPT_OWNERS)
        self._baselines: ByteCache[Baseline] = ByteCache(_BASELINE_BYTES, _baseline_bytes)
        # Models and data of every owner's last finished run, until they are kept, replaced, pushed out or their owner has left.
        self._finished: ByteCache[FinishedRun] = ByteCache(_FINISHED_BYTES, lambda run: run.n_bytes)
        self.shelf.on_dropped.append(self._finished.discard)
        self._paces: LRUCache[str, Mapping[str, float]] = LRUCache(_KEPT_PACES)
        # Distinguishes runs of this process from those of earlier ones.
        self._process = secrets.token_hex(4)

    def start(self, owner: str, data: TrainingData, config: RunConfig, two_tower: bool, one_epoch: bool = False) -> JobSnapshot:
        """Queue a run, or return the owner's active one; with `one_epoch` it pauses after its first epoch. See `RunPlan`."""
        with self._lock:
            key = _key(owner)
            job = self._jobs.get(key)
            if job is not None and job.active and owner in job.owners:
                return job
            before = [run.plan.number for run in self._earlier.get(owner, ())]
            if owner in self._started:
                before.append(self._started[owner].plan.number)
            plan = RunPlan(max(before, default=0) + 1, data, config, two_tower)
            # Only the job references the data, which an upload's owner may replace.
            started = _Started(plan.without_data(), TrainingControl(paused_after_first=one_epoch))
            label = f"training run {plan.number} from scratch"
            work = partial(self._work, owner, plan, started.control)
            job = self._jobs.submit(key, label, work, owner, FROM_SCRATCH, on_left=started.control.pause)
            # Re-inserted as the newest: `paused` reads all in insertion order.
            self._started.pop(owner, None)
            self._started[owner] = started
            self._finished.discard(owner)
            return job

    def pause(self, owner: str) -> None:
        """Pause the owner's run between two batches."""
        started, job = self._of(owner), self._jobs.get(_key(owner))
        if started is not None and job is not None and job.active:
            started.control.pause(PAUSE_PATIENCE if job.state is JobState.RUNNING else 0.0)

    def resume(self, owner: str) -> None:
        """Resume the owner's run."""
        if (started := self._of(owner)) is not None:
            started.control.resume()

    def step(self, owner: str) -> None:
        """Resume the owner's run until the end of one epoch."""
        if (started := self._of(owner)) is not None:
            started.control.step()

    def cancel(self, owner: str) -> bool:
        """Stop the owner's run, also a paused or queued one; returns whether there was one."""
        return self._jobs.cancel(_key(owner), owner)

    def finished(self, owner: str) -> FinishedRun | None:
        """The owner's last run with its models, if it is finished and they are still in memory."""
        started, run = self._of(owner), self._finished.get(owner)
        return run if started is not None and run is not None and run.plan.number == started.plan.number else None

    def view(self, owner: str, recorded: EarlierRun | None = None) -> TrainingView:
        """What the owner's page shows; `recorded` is a run trained before for its data, shown until there is one of the owner's."""
        started, job = self._of(owner), self._jobs.get(_key(owner))
        earlier = self._earlier_of(owner)
        if started is None or job is None:
            return _without_own(earlier, recorded)
        plan, points = started.plan, _points(job)
        baseline = tuple(point for point in points if point.stage == TWO_TOWER)
        if not baseline and (known := self._baselines.get(_baseline_key(plan))) is not None:
            baseline = known.points
        seconds = max(0.0, job.seconds - started.control.waited_seconds)
        before = () if recorded is None else (recorded,)
        others = (*before, *(run for run in earlier if run.plan.number != plan.number))
        result = job.result if isinstance(job.result, RunResult) else None
        ahead = tuple(self._left(key.removeprefix(_KEY)) for key in self._jobs.keys_ahead(job.key))
        left = self._left(owner)
        return TrainingView(plan, job, started.control.pace, points, left, seconds, baseline, others, result, ahead)

    def _left(self, owner: str) -> TimeLeft:
        """The time that the owner's run still takes."""
        started, job = self._of(owner), self._jobs.get(_key(owner))
        if started is None or job is None:
            return TimeLeft(0.0, ())
        plan, points = started.plan, _points(job)
        most = plan.most_epochs
        if self._baselines.get(_baseline_key(plan)) is not None and not any(point.stage == TWO_TOWER for point in points):
            most.pop(TWO_TOWER, None)
        with self._lock:
            paces = self._paces.get(_settings_key(plan), {})
        return time_left(points, most, paces)

    def run_id(self, owner: str) -> str:
        """Id of the owner's latest run for an address; empty if there is none."""
        started = self._of(owner)
        return "" if started is None else f"{self._process}-{started.plan.number}"

    def is_lost(self, run_id: str) -> bool:
        """Whether an id is of a run that ended with an earlier process."""
        named = _RUN_ID.fullmatch(run_id)
        return named is not None and named[1] != self._process

    def paused(self) -> set[str]:
        """Keys of all paused jobs."""
        with self._lock:
            return {_key(owner) for owner, started in self._started.items() if started.control.pace is Pace.PAUSED}

    def forget_earlier(self, owner: str) -> None:
        """Drop the owner's finished runs."""
        with self._lock:
            self._earlier.pop(owner, None)

    def _of(self, owner: str) -> _Started | None:
        with self._lock:
            return self._started.get(owner)

    def _earlier_of(self, owner: str) -> tuple[EarlierRun, ...]:
        with self._lock:
            return tuple(self._earlier.get(owner, ()))

    def _work(self, owner: str, plan: RunPlan, control: TrainingControl, handle: JobHandle) -> RunResult:
        split = plan.data.split()
        handle.check()
        wanted = plan.two_tower or self._baselines.get(_baseline_key(plan)) is not None
        two_tower = (lambda monitor: self._two_tower(plan, split, handle, monitor)) if wanted else None
        made: list[TrainedModels] = []
        result = train_from_scratch(split, plan.config, control, handle, two_tower, made.append)
        handle.check()
        job = self._jobs.get(_key(owner))
        points = tuple(point._replace(usage=None) for point in _points(job))
        self._record(owner, EarlierRun(plan.without_data(), points, result))
        self._finished.put(owner, FinishedRun(plan, points, result, *made))
        return result

    def _two_tower(self, plan: RunPlan, split: Split, handle: JobHandle, monitor: TrainingMonitor) -> Baseline:
        known = self._baselines.get(_baseline_key(plan))
        if known is None:
            known = train_two_tower_baseline(split, plan.config, handle, monitor)
            self._baselines.put(_baseline_key(plan), known)
        return known

    def _record(self, owner: str, run: EarlierRun) -> None:
        paces = {stage: pace for stage in run.plan.most_epochs if (pace := pace_of(run.points, stage)) is not None}
        with self._lock:
            runs = self._earlier.setdefault(owner, deque(maxlen=KEPT_RUNS))
            runs.append(run)
            key = _settings_key(run.plan)
            self._paces[key] = {**self._paces.get(key, {}), **paces}


def _without_own(earlier: tuple[EarlierRun, ...], recorded: EarlierRun | None) -> TrainingView:
    """The view of an owner without a run: the recorded one."""
    nothing_left = TimeLeft(0.0, ())
    if recorded is None:
        return TrainingView(None, None, Pace.RUNNING, (), nothing_left, 0.0, (), earlier)
    plan, points, result = recorded
    baseline = tuple(point for point in points if point.stage == TWO_TOWER)
    return TrainingView(plan, None, Pace.RUNNING, points, nothing_left, result.seconds, baseline, earlier, result)


def _key(owner: str) -> str:
    return f"{_KEY}{owner}"


def _points(job: JobSnapshot) -> tuple[EpochPoint, ...]:
    return tuple(record for record in job.records if isinstance(record, EpochPoint))


def _settings_key(plan: RunPlan) -> str:
    """What the time of an epoch depends on."""
    return "/".join((plan.data.key, plan.config.model.content_hash(), plan.config.quantizer.content_hash()))


def _baseline_key(plan: RunPlan) -> str:
    """What the two-tower baseline depends on: everything but quantizer and index."""
    return "/".join((plan.data.key, plan.config.model.content_hash(), plan.config.training.content_hash()))


def _baseline_bytes(baseline: Baseline) -> int:
    return _POINT_BYTES * max(1, len(baseline.points))
