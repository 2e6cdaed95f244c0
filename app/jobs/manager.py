"""Background jobs: bounded worker threads that publish immutable records, can be cancelled, and keep their error text.

Workers never call Streamlit. Submitting the key of an active job joins it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.jobs.job import ACTIVE, JobCancelled, JobHandle, JobSnapshot, JobState, Work
from app.jobs.turns import page_turns

KEPT_JOBS = 64
CLOSING_SECONDS = 5.0
# Between two checks of whether a job's owners are still there.
LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Job:
    key: str
    label: str
    lane: str
    work: Work
    on_left: Callable[[], None] | None
    # Owner -> when it joined.
    owners: dict[str, float]
    state: JobState = JobState.QUEUED
    records: tuple[Any, ...] = ()
    result: Any = None
    error: str = ""
    version: int = 0
    started: float | None = None
    ended: float | None = None
    next_look: float = 0.0
    deserted: bool = False
    rests: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)


class JobManager:
    """Runs jobs in named lanes, each with its own workers. Safe to share between threads.

    Parameters
    ----------
    lanes
        Lane name -> number of worker threads, so that short jobs need not wait behind long ones; ValueError if empty or below 1.
    kept
        Finished jobs kept per lane; the least recently used is dropped first.
    on_worker_start
        Called once in every worker thread, before its first job.
    has_left
        Whether an owner has left a job without cancelling it, by the job's key and the time the owner joined it. Asked while the job
        runs; it ends once all have left, unless it was submitted with another answer.
    clock
        Seconds of a steady clock, the one `has_left` uses.
    """

    def __init__(
        self,
        lanes: Mapping[str, int],
        kept: int = KEPT_JOBS,
        on_worker_start: Callable[[], None] | None = None,
        has_left: Callable[[str, str, float], bool] = lambda owner, key, joined: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not lanes or min(lanes.values()) < 1:
            raise ValueError(f"lanes must name at least one lane, each with at least 1 worker; got {dict(lanes)}")
        self._kept, self._lanes = kept, dict(lanes)
        # Jobs that occupy their lane now.
        self._at: list[_Job] = []
        self._on_worker_start, self._has_left, self._clock = on_worker_start, has_left, clock
        self._changed = threading.Condition()
        self._jobs: OrderedDict[str, _Job] = OrderedDict()
        self._queues: dict[str, deque[_Job]] = {lane: deque() for lane in lanes}
        # Jobs that waited aside and wait for their lane now; they go before those in the queue.
        self._returning: dict[str, list[_Job]] = {lane: [] for lane in lanes}
        self._closed = False
        self._workers = [
            threading.Thread(target=self._serve, args=(lane,), name=f"sparcode-{lane}-{number}", daemon=True)
            for lane, n_workers in lanes.items()
            for number in range(n_workers)
        ]
        for worker in self._workers:
            worker.start()

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
        """Queue a job, or join the one of that key that is queued or running. A finished job of that key is replaced.

        Parameters
        ----------
        work
            Called with a `JobHandle` in a worker thread. Its return value is kept as the result, so it should be small.
        owner
            Joins the owners.
        replaces
            Whether to stop an active job of that key with another label; its owners get this one instead.
        on_left
            Called, maybe often, once all owners have left, in place of ending the job.

        Raises
        ------
        ValueError
            If there is no such lane.
        RuntimeError
            If the manager is closed.
        """
        if lane not in self._queues:
            raise ValueError(f"lane must be one of {', '.join(self._queues)}; got {lane!r}")
        with self._changed:
            if self._closed:
                raise RuntimeError("the job manager is closed")
            job, owners, now = self._jobs.get(key), {}, self._clock()
            if replaces and job is not None and job.state in ACTIVE and job.label != label:
                owners = dict(job.owners)
                self._stop(job)
            if job is None or job.state not in ACTIVE or job.cancelled.is_set():
                version = job.version + 1 if job else 0
                job = _Job(key, label, lane, work, on_left, owners, version=version)
                self._jobs[key] = job
                self._queues[lane].append(job)
                self._forget_old()
            job.owners[owner] = now
            self._jobs.move_to_end(key)
            self._changed.notify_all()
            return self._snapshot(job)

    def get(self, key: str) -> JobSnapshot | None:
        """The current state of a job; None for an unknown or dropped key."""
        with self._changed:
            job = self._jobs.get(key)
            if job is None:
                return None
            self._jobs.move_to_end(key)
            return self._snapshot(job)

    def running(self) -> set[str]:
        """Keys of all running jobs, but those that rest."""
        with self._changed:
            running = [job for job in self._jobs.values() if job.state is JobState.RUNNING and not job.rests]
            return {job.key for job in running if not self._is_returning(job)}

    def has_active(self, prefix: str = "") -> bool:
        """Whether a job whose key begins so is queued or running."""
        with self._changed:
            return any(job.state in ACTIVE and job.key.startswith(prefix) for job in self._jobs.values())

    def keys_ahead(self, key: str) -> list[str]:
        """Keys of the jobs that a job waits for, the next one first; empty unless it is queued. Cancelled jobs do not count."""
        with self._changed:
            job = self._jobs.get(key)
            return [] if job is None else [other.key for other in self._ahead(job) if not other.cancelled.is_set()]

    def cancel(self, key: str, owner: str) -> bool:
        """Take an owner off an active job, and stop it if none is left; returns whether the job was the owner's and active."""
        with self._changed:
            job = self._jobs.get(key)
            if job is None or job.state not in ACTIVE or owner not in job.owners:
                return False
            del job.owners[owner]
            if not job.owners:
                self._stop(job)
            job.version += 1
            self._changed.notify_all()
            return True

    def forget(self, key: str) -> None:
        """Drop a finished job, so that it can be started anew; an active one stays."""
        with self._changed:
            job = self._jobs.get(key)
            if job is not None and job.state not in ACTIVE:
                del self._jobs[key]

    def wait(self, key: str, until: Callable[[JobSnapshot], bool], timeout: float) -> JobSnapshot | None:
        """Wait at most `timeout` seconds until a job meets a condition, checked after every change, or ends; None for an unknown key."""
        deadline = time.monotonic() + timeout
        with page_turns.left(), self._changed:
            while (job := self._jobs.get(key)) is not None:
                snapshot = self._snapshot(job)
                left = deadline - time.monotonic()
                if not snapshot.active or until(snapshot) or left <= 0:
                    return snapshot
                self._changed.wait(left)
            return None

    def stop(self, prefix: str) -> None:
        """Stop all active jobs whose key begins so, whoever wants them."""
        with self._changed:
            for job in self._jobs.values():
                if job.key.startswith(prefix) and job.state in ACTIVE:
                    self._stop(job)
                    job.version += 1
            self._changed.notify_all()

    def key(self, key: str) -> str:
        """The whole key of a job: the key itself, see `app.jobs.scoped`."""
        return key

    def close(self, timeout: float = CLOSING_SECONDS) -> None:
        """Cancel everything, refuse further submits, and wait at most `timeout` seconds for each worker to end."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                if job.state in ACTIVE:
                    self._stop(job)
            self._changed.notify_all()
        # A thread in compiled code during interpreter shutdown would crash the process.
        for worker in list(self._workers):
            worker.join(timeout)

    def _stop(self, job: _Job) -> None:
        job.cancelled.set()
        if job.state is JobState.QUEUED:
            self._queues[job.lane].remove(job)
            job.state, job.work = JobState.CANCELLED, _finished

    def _forget_old(self) -> None:
        # By lane, so that many short jobs do not push out the few long ones.
        for lane in self._queues:
            finished = [key for key, job in self._jobs.items() if job.lane == lane and job.state not in ACTIVE]
            for key in finished[: max(0, len(finished) - self._kept)]:
                del self._jobs[key]

    def _snapshot(self, job: _Job) -> JobSnapshot:
        seconds = 0.0 if job.started is None else (job.ended or self._clock()) - job.started
        ahead = tuple(other.label for other in self._ahead(job))
        owners = frozenset(job.owners)
        state = JobState.QUEUED if self._is_returning(job) else job.state
        state = JobState.CANCELLED if job.cancelled.is_set() and job.state in ACTIVE else state
        return JobSnapshot(job.key, job.label, state, job.records, job.result, job.error, job.version, owners, seconds, ahead, job.deserted)

    def _ahead(self, job: _Job) -> list[_Job]:
        queue, returning = self._queues[job.lane], self._returning[job.lane]
        if job.state is not JobState.QUEUED and job not in returning:
            return []
        running = [other for other in self._at if other.lane == job.lane and other.state is JobState.RUNNING]
        waiting = [*returning, *queue]
        return [*running, *waiting[: waiting.index(job)]]

    def _is_returning(self, job: _Job) -> bool:
        return job in self._returning[job.lane]

    def _serve(self, lane: str, is_needed: Callable[[], bool] = lambda: True) -> None:
        if self._on_worker_start is not None:
            self._on_worker_start()
        queue, returning = self._queues[lane], self._returning[lane]
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or not is_needed() or (queue and not returning and self._is_free(lane)))
                if self._closed or not is_needed():
                    return
                job = queue.popleft()
                self._at.append(job)
                job.state, job.started, job.next_look = JobState.RUNNING, self._clock(), self._clock()
                job.version += 1
                self._changed.notify_all()
            self._run(job)
            with self._changed:
                self._at.remove(job)
                self._changed.notify_all()

    def _is_free(self, lane: str) -> bool:
        return sum(job.lane == lane for job in self._at) < self._lanes[lane]

    @contextmanager
    def _aside(self, job: _Job) -> Iterator[None]:
        """Leave the lane to another worker for a while, and wait at the end until the lane is free again, unless it ends with an error."""
        over, returning, goes_on = threading.Event(), self._returning[job.lane], False
        spare = threading.Thread(
            target=self._serve, args=(job.lane, lambda: not over.is_set()), name=f"sparcode-{job.lane}-spare", daemon=True
        )
        with self._changed:
            self._at.remove(job)
            spare.start()
            # One that is needed no more may still be at its last job.
            self._workers = [*(worker for worker in self._workers if worker.is_alive()), spare]
        try:
            yield
            goes_on = True
        finally:
            with self._changed:
                over.set()
                if goes_on:
                    returning.append(job)
                    job.version += 1
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: (returning[0] is job and self._is_free(job.lane)) or job.cancelled.is_set())
                    returning.remove(job)
                self._at.append(job)
                job.version += 1
                self._changed.notify_all()

    def _should_stop(self, job: _Job) -> bool:
        """Whether a running job was cancelled or all its owners have left."""
        if not job.cancelled.is_set() and self._clock() >= job.next_look:
            job.next_look = self._clock() + LOOK_SECONDS
            with self._changed:
                owners = dict(job.owners)
            # Without the lock, because the callback may take locks of its own.
            left = [owner for owner, joined in owners.items() if self._has_left(owner, job.key, joined)]
            if job.on_left is not None:
                if len(left) == len(owners):
                    job.on_left()
                return job.cancelled.is_set()
            with self._changed:
                for owner in left:
                    # Unless it was cancelled or joined anew meanwhile.
                    if job.owners.get(owner) == owners[owner]:
                        del job.owners[owner]
                if left and not job.owners and not job.cancelled.is_set():
                    self._stop(job)
                    job.deserted = True
                    job.version += 1
                    self._changed.notify_all()
        return job.cancelled.is_set()

    def _run(self, job: _Job) -> None:
        def publish(record: Any) -> None:
            with self._changed:
                job.records = (*job.records, record)
                job.version += 1
                self._changed.notify_all()

        def rest(rests: bool) -> None:
            with self._changed:
                job.rests = rests

        result, error, state = None, "", JobState.DONE
        try:
            if self._should_stop(job):
                raise JobCancelled
            result = job.work(JobHandle(publish, lambda: self._should_stop(job), lambda: self._aside(job), rest))
        except Exception as problem:
            # Libraries raise exceptions of their own when work is asked to stop.
            if not job.cancelled.is_set():
                _log.exception("job %r failed", job.label)
                state, error = JobState.FAILED, str(problem) or type(problem).__name__
        if job.cancelled.is_set():
            state, result = JobState.CANCELLED, None
        with self._changed:
            job.result, job.error, job.state, job.ended = result, error, state, self._clock()
            job.version += 1
            job.work = _finished
            self._forget_old()
            self._changed.notify_all()


# In place of ended work, which references its data.
def _finished(handle: JobHandle) -> None:
    raise AssertionError("a finished job runs no more")
