"""The jobs of one data set among those of all, told apart by a prefix of their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from app.jobs.job import JobSnapshot, Work
from app.jobs.manager import JobManager

_END: Final = "|"


class ScopedJobs:
    """A `JobManager` as one data set sees it: the same keys as for any other data, kept apart from theirs by a `scope`.

    `running` names jobs of others by their whole keys, so that they count as others; everything else speaks of this scope alone.
    """

    def __init__(self, jobs: JobManager, scope: str) -> None:
        self._jobs, self._prefix = jobs, f"{scope}{_END}"

    def key(self, key: str) -> str:
        """The whole key of a job."""
        return f"{self._prefix}{key}"

    def submit(
        self,
        key: str,
        label: str,
        work: Work,
        owner: str,
        lane: str,
        replaces: bool = False,
        on_left: Callable[[], None] | None = None,
    ) -> JobSnapshot:
        """As for `JobManager`."""
        return self._own(self._jobs.submit(self.key(key), label, work, owner, lane, replaces, on_left))

    def get(self, key: str) -> JobSnapshot | None:
        """As for `JobManager`."""
        return self._own(self._jobs.get(self.key(key)))

    def running(self) -> set[str]:
        """Keys of all running jobs, of other scopes too."""
        return {key.removeprefix(self._prefix) for key in self._jobs.running()}

    def has_active(self) -> bool:
        """Whether a job of this scope is queued or running."""
        return self._jobs.has_active(self._prefix)

    def cancel(self, key: str, owner: str) -> bool:
        """As for `JobManager`."""
        return self._jobs.cancel(self.key(key), owner)

    def forget(self, key: str) -> None:
        """As for `JobManager`."""
        self._jobs.forget(self.key(key))

    def wait(self, key: str, until: Callable[[JobSnapshot], bool], timeout: float) -> JobSnapshot | None:
        """As for `JobManager`."""
        return self._own(self._jobs.wait(self.key(key), until, timeout))

    def close(self) -> None:
        """Stop the jobs of this scope; the workers go on for the others."""
        self._jobs.stop(self._prefix)

    def _own(self, job: JobSnapshot | None) -> JobSnapshot | None:
        return None if job is None else job._replace(key=job.key.removeprefix(self._prefix))


Jobs = JobManager | ScopedJobs


def without_scope(key: str) -> str:
    """A job's key without the scope it may have."""
    return key.rpartition(_END)[2]
