from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from app.jobs.job import JobState
from app.jobs.manager import JobManager
from app.jobs.scoped import ScopedJobs, without_scope
from tests.fakes import PATIENCE


@pytest.fixture
def jobs() -> Iterator[JobManager]:
    made = JobManager({"one": 1, "other": 1})
    yield made
    made.close()


def test_the_same_key_means_another_job_in_every_scope(jobs: JobManager) -> None:
    first, second = ScopedJobs(jobs, "first"), ScopedJobs(jobs, "second")
    for scope, result in ((first, 1), (second, 2), (jobs, 3)):
        scope.submit("key", "label", lambda handle, result=result: result, "ann", "one")
    done = [scope.wait("key", lambda job: False, PATIENCE) for scope in (first, second, jobs)]
    assert [(job.key, job.result) for job in done] == [("key", 1), ("key", 2), ("key", 3)]
    first.forget("key")
    assert (first.get("key"), second.get("key").result) == (None, 2)


def test_jobs_of_others_run_under_their_whole_keys_and_share_the_workers(jobs: JobManager) -> None:
    first, second, goes_on = ScopedJobs(jobs, "first"), ScopedJobs(jobs, "second"), threading.Event()
    first.submit("key", "label", lambda handle: goes_on.wait(PATIENCE), "ann", "one")
    first.wait("key", lambda job: job.state is JobState.RUNNING, PATIENCE)
    assert second.submit("key", "behind", lambda handle: None, "bob", "one").ahead == ("label",)
    assert (first.running(), second.running(), jobs.running()) == ({"key"}, {first.key("key")}, {first.key("key")})
    assert first.has_active()
    assert second.has_active()
    assert not ScopedJobs(jobs, "third").has_active()
    assert without_scope(first.key("key")) == without_scope("key") == "key"
    goes_on.set()
    assert second.wait("key", lambda job: False, PATIENCE).state is JobState.DONE


def test_closing_a_scope_stops_its_jobs_alone(jobs: JobManager) -> None:
    first, second, stopped = ScopedJobs(jobs, "first"), ScopedJobs(jobs, "second"), threading.Event()

    def until_stopped(handle: object) -> None:
        while not handle.should_stop():
            stopped.wait(0.01)

    first.submit("key", "label", until_stopped, "ann", "one")
    first.submit("next", "label", lambda handle: None, "ann", "one")
    second.submit("key", "label", lambda handle: stopped.wait(PATIENCE), "ann", "other")
    second.wait("key", lambda job: job.state is JobState.RUNNING, PATIENCE)
    first.close()
    assert {first.wait(key, lambda job: False, PATIENCE).state for key in ("key", "next")} == {JobState.CANCELLED}
    stopped.set()
    assert second.wait("key", lambda job: False, PATIENCE).state is JobState.DONE
    # The state is told a moment before the worker has ended.
    deadline = time.monotonic() + PATIENCE
    while first.cancel("key", "ann"):
        assert time.monotonic() < deadline
