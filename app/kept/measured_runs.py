"""Runs measured in the background so that they can be compared; their models are read for that and let go, their figures stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.manager import JobManager
from app.kept.comparable import ComparableRuns
from app.kept.run_figures import RunFigures, run_figures

# The lane of this work.
RUNS: Final = "runs"
_MOST_BYTES: Final = 64 * 2**20


class MeasuredRuns:
    """Figures of runs, at most 64 MB of them. Safe to share between threads.

    `jobs` has the lane `RUNS`; `at_work` gives the keys of all running jobs.
    """

    def __init__(self, jobs: JobManager, runs: ComparableRuns, at_work: Callable[[], set[str]]) -> None:
        self.runs = runs
        self._jobs, self._at_work = jobs, at_work
        self._found: ByteCache[RunFigures] = ByteCache(_MOST_BYTES, lambda figures: figures.n_bytes)

    def figures(self, name: str) -> RunFigures | None:
        """The figures of a run; None before it is measured, or if there is none of this name."""
        return self._found.get((name, self.runs.stamp(name)))

    def ensure(self, name: str, owner: str) -> JobSnapshot | None:
        """Start measuring a run, or join the work under way; None if it is measured.

        A run timed beside other jobs is measured again once there are none. Work that failed or was cancelled is not begun again.
        """
        known = self.figures(name)
        if known is not None and not (known.busy and self._at_work() <= {self._key(name)}):
            return None
        key = self._key(name)
        job = self._jobs.get(key)
        if job is None or job.state is JobState.DONE or (job.active and owner not in job.owners):
            job = self._jobs.submit(key, f"measuring the run {name}", lambda handle: self._measure(name, handle), owner, RUNS)
        return job

    def retry(self, name: str) -> None:
        """Let the next `ensure` begin again what failed or was cancelled."""
        self._jobs.forget(self._key(name))

    def cancel(self, name: str, owner: str) -> None:
        """Stop measuring a run for this owner; it goes on for others."""
        self._jobs.cancel(self._key(name), owner)

    def _key(self, name: str) -> str:
        return f"{RUNS}/{name}/{self.runs.stamp(name)}"

    def _measure(self, name: str, handle: JobHandle) -> None:
        # Before it is read: a run that takes its place meanwhile is measured for itself.
        stamp, key = self.runs.stamp(name), self._key(name)
        parts = self.runs.open(name)
        handle.check()
        self._found.put((name, stamp), run_figures(parts, handle.check, lambda: bool(self._at_work() - {key})))
