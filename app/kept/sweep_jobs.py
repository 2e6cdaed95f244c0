"""Sweeps in the background: at most one at a time in a studio, whoever began it; it goes on when its tab is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.manager import JobManager
from app.kept.sweeps import KeptSweeps
from sparcode.sweep.answer import Figure, importance
from sparcode.sweep.executors import Executor, Processes
from sparcode.sweep.folder import Sweep
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.run import Ended, Listener, run_sweep

# The lanes of sweeps, and of what is computed of their trials.
SWEEPS: Final = "sweeps"
READINGS: Final = "sweep readings"
# A sweep may take so long; it can be gone on with.
MOST_SECONDS: Final = 4 * 3600.0


class SweepProgress(NamedTuple):
    """Trials finished so far, and an estimate of the seconds that the others take."""

    n_finished: int
    seconds_left: float


class SweepJobs:
    """Begins sweeps, goes on with them, and cancels them. Safe to share between threads.

    `jobs` has the lanes `SWEEPS` and `READINGS`; `executor` runs trials, so many at once.
    """

    def __init__(self, jobs: JobManager, sweeps: KeptSweeps, executor: Callable[[int], Executor] | None = None) -> None:
        self.sweeps = sweeps
        self._jobs, self._executor = jobs, executor or (lambda n_workers: Processes(n_workers, threads=1))
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def start(self, name: str, owner: str, n_workers: int, make: Callable[[], object] = lambda: None) -> JobSnapshot:
        """Go on with a sweep, or `make` it first; ValueError if there is no room, or another one, or somebody else's, is under way."""
        with self._lock:
            if (other := self.under_way()) and not (other == name and self.may_cancel(name, owner)):
                raise ValueError(f"the sweep {other!r} is under way, and there is one at a time; wait for it, or have it cancelled")
            self.sweeps.check_room()
            self._names.add(name)

            def work(handle: JobHandle) -> Ended:
                make()
                told = _Published(handle, self.sweeps)
                return run_sweep(self.sweeps.place(name), self._executor(n_workers), told, handle.should_stop, max_seconds=MOST_SECONDS)

            return self._jobs.submit(_key(name), f"the sweep {name}", work, _lasting(owner), SWEEPS)

    def job(self, name: str) -> JobSnapshot | None:
        """The sweep's work in this process; None if there was none."""
        return self._jobs.get(_key(name))

    def under_way(self) -> str:
        """The name of the sweep that this studio runs now; empty if none."""
        # Another thread may add a name meanwhile.
        return next((name for name in tuple(self._names) if (job := self.job(name)) is not None and job.active), "")

    def may_cancel(self, name: str, owner: str) -> bool:
        """Whether this owner began the sweep that is under way."""
        job = self.job(name)
        return job is not None and job.active and _lasting(owner) in job.owners

    def cancel(self, name: str, owner: str) -> None:
        """End a sweep's trials under way for its owner; finished ones stay, and it can be gone on with."""
        self._jobs.cancel(_key(name), _lasting(owner))

    def importance(self, name: str, sweep: Sweep, of: Figure, owner: str) -> JobSnapshot:
        """Which settings matter for a figure, computed in the background: the job has the result of `sparcode.sweep.answer.importance`."""
        # A name may be used again once its sweep is deleted.
        key = f"{READINGS}/{name}/{sweep.definition.identity}/{len(sweep.complete)}/{of}"
        found = self._jobs.get(key)
        if found is None or found.state is JobState.CANCELLED or (found.active and owner not in found.owners):
            label = f"which settings of the sweep {name} matter"
            found = self._jobs.submit(key, label, lambda handle: importance(sweep.definition, sweep.trials, of), owner, READINGS)
        return found


class _Published(Listener):
    def __init__(self, handle: JobHandle, sweeps: KeptSweeps) -> None:
        self._handle, self._sweeps = handle, sweeps

    def on_finished(self, record: TrialRecord, n_finished: int, seconds_left: float) -> None:
        self._handle.publish(SweepProgress(n_finished, seconds_left))
        if seconds_left:
            self._sweeps.check_room()


def _key(name: str) -> str:
    return f"{SWEEPS}/{name}"


def _lasting(owner: str) -> str:
    """The owner under a name without a tab, so that the work goes on when theirs are closed."""
    return f"{owner} of a sweep"
