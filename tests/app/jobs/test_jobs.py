from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from app.jobs.job import JobHandle, JobSnapshot, JobState, status_text
from app.jobs.manager import LOOK_SECONDS, JobManager

# Only a broken manager lets a wait take this long.
PATIENCE = 20


@pytest.fixture
def jobs() -> Iterator[JobManager]:
    manager = JobManager({"slow": 1, "quick": 1}, kept=2)
    yield manager
    # A test may leave work behind that waits for something.
    manager.close(timeout=0)


class Gate:
    """Work that says when it starts and goes on when it is let."""

    def __init__(self, result: object = None) -> None:
        self.started, self.opened, self.result = threading.Event(), threading.Event(), result

    def __call__(self, handle: JobHandle) -> object:
        self.started.set()
        assert self.opened.wait(PATIENCE)
        handle.check()
        return self.result


def ended(jobs: JobManager, key: str) -> JobSnapshot:
    """The job once it is over."""
    snapshot = jobs.wait(key, lambda job: False, PATIENCE)
    assert snapshot is not None
    assert not snapshot.active
    return snapshot


def worked_off(jobs: JobManager, key: str) -> JobSnapshot:
    """The job once its worker is done with it: people see a cancelled one as ended before."""
    submit(jobs, "behind it", lambda handle: None)
    ended(jobs, "behind it")
    return ended(jobs, key)


def submit(jobs: JobManager, key: str, work: object, owner: str = "ann", lane: str = "slow") -> JobSnapshot:
    return jobs.submit(key, f"job {key}", work, owner, lane)


def test_a_job_under_way_is_replaced_by_another_of_its_key_and_its_owners_go_over(jobs: JobManager) -> None:
    first, second = Gate("first"), Gate("second")
    submit(jobs, "a", first)
    submit(jobs, "a", first, owner="bob")
    assert first.started.wait(PATIENCE)
    replaced = jobs.submit("a", "more of a", second, "cat", "slow", replaces=True)
    assert (replaced.label, replaced.owners) == ("more of a", {"ann", "bob", "cat"})
    # The same once more is joined.
    assert jobs.submit("a", "more of a", first, "ann", "slow", replaces=True).version == replaced.version
    first.opened.set()
    second.opened.set()
    assert ended(jobs, "a").result == "second"


def test_records_arrive_while_the_work_goes_on_and_the_result_at_its_end(jobs: JobManager) -> None:
    opened = threading.Event()

    def work(handle: JobHandle) -> str:
        handle.publish("first")
        assert opened.wait(PATIENCE)
        handle.publish("second")
        return "result"

    before = submit(jobs, "a", work)
    half = jobs.wait("a", lambda job: "first" in job.records, PATIENCE)
    assert (half.state, half.records, half.result) == (JobState.RUNNING, ("first",), None)
    assert half.version > before.version
    opened.set()
    done = ended(jobs, "a")
    assert (done.state, done.records, done.result, done.error) == (JobState.DONE, ("first", "second"), "result", "")
    assert done.version > half.version


@pytest.mark.parametrize(("error", "text"), [(ValueError("no users left"), "no users left"), (KeyError(), "KeyError")])
def test_a_job_that_fails_keeps_its_text_and_its_records_and_the_worker_goes_on(jobs: JobManager, error: Exception, text: str) -> None:
    def work(handle: JobHandle) -> None:
        handle.publish(1)
        raise error

    submit(jobs, "a", work)
    failed = ended(jobs, "a")
    assert (failed.state, failed.error, failed.records, failed.result) == (JobState.FAILED, text, (1,), None)
    submit(jobs, "b", lambda handle: "fine")
    assert ended(jobs, "b").result == "fine"


def test_cancelled_work_sees_it_and_leaves_no_result(jobs: JobManager) -> None:
    gate = Gate("never seen")
    submit(jobs, "a", gate)
    assert gate.started.wait(PATIENCE)
    assert jobs.cancel("a", "ann")
    # Shown as cancelled at once; its processor time still counts.
    assert jobs.get("a").state is JobState.CANCELLED
    assert not jobs.get("a").active
    assert jobs.running() == {"a"}
    gate.opened.set()
    over = worked_off(jobs, "a")
    assert (over.state, over.result) == (JobState.CANCELLED, None)


@pytest.mark.parametrize("fails", [False, True])
def test_cancelled_work_may_end_in_any_way(jobs: JobManager, fails: bool) -> None:
    started, opened = threading.Event(), threading.Event()

    def work(handle: JobHandle) -> str:
        started.set()
        assert opened.wait(PATIENCE)
        if fails:
            raise RuntimeError("stopped half way")
        return "too late"

    submit(jobs, "a", work)
    assert started.wait(PATIENCE)
    jobs.cancel("a", "ann")
    opened.set()
    over = worked_off(jobs, "a")
    assert (over.state, over.result, over.error) == (JobState.CANCELLED, None, "")


def test_a_queued_job_is_cancelled_without_ever_running(jobs: JobManager) -> None:
    first, second = Gate(), Gate()
    submit(jobs, "a", first)
    assert first.started.wait(PATIENCE)
    submit(jobs, "b", second)
    assert jobs.get("b").ahead == ("job a",)
    work = weakref.ref(second)
    assert jobs.cancel("b", "ann")
    assert jobs.get("b").state is JobState.CANCELLED
    assert not second.started.is_set()
    del second
    # Its work references data, which may be large.
    assert work() is None
    first.opened.set()
    ended(jobs, "a")
    assert worked_off(jobs, "b").records == ()


def test_a_lane_runs_one_job_at_a_time_and_in_order_beside_the_other_lane(jobs: JobManager) -> None:
    gates = {key: Gate() for key in "abc"}
    for key in "ab":
        submit(jobs, key, gates[key])
    submit(jobs, "c", gates["c"], lane="quick")
    assert gates["a"].started.wait(PATIENCE)
    assert gates["c"].started.wait(PATIENCE)
    assert not gates["b"].started.is_set()
    assert jobs.get("b").state is JobState.QUEUED
    gates["a"].opened.set()
    assert gates["b"].started.wait(PATIENCE)
    assert jobs.get("a").state is JobState.DONE
    for gate in gates.values():
        gate.opened.set()


def test_the_same_key_joins_what_is_under_way(jobs: JobManager) -> None:
    gate, other = Gate("once"), Gate()
    submit(jobs, "a", gate)
    joined = submit(jobs, "a", other, owner="bob")
    assert joined.owners == {"ann", "bob"}
    gate.opened.set()
    assert ended(jobs, "a").result == "once"
    assert not other.started.is_set()


def test_a_job_goes_on_until_its_last_owner_leaves(jobs: JobManager) -> None:
    gate = Gate("kept")
    submit(jobs, "a", gate)
    submit(jobs, "a", gate, owner="bob")
    assert jobs.cancel("a", "ann")
    assert not jobs.cancel("a", "ann")
    assert jobs.get("a").owners == {"bob"}
    gate.opened.set()
    assert ended(jobs, "a").result == "kept"


def test_nobody_else_can_cancel_a_job_and_an_ended_one_cannot_be_cancelled(jobs: JobManager) -> None:
    gate = Gate("kept")
    submit(jobs, "a", gate)
    assert not jobs.cancel("a", "eve")
    assert not jobs.cancel("unknown", "ann")
    gate.opened.set()
    assert ended(jobs, "a").result == "kept"
    assert not jobs.cancel("a", "ann")


def test_a_finished_job_is_run_again_only_when_asked(jobs: JobManager) -> None:
    runs: list[int] = []

    def work(handle: JobHandle) -> int:
        runs.append(len(runs))
        return len(runs)

    submit(jobs, "a", work)
    first = ended(jobs, "a")
    jobs.forget("a")
    assert jobs.get("a") is None
    submit(jobs, "a", work)
    assert ended(jobs, "a").result == 2
    again = submit(jobs, "a", work)
    assert again.version > first.version
    assert ended(jobs, "a").result == 3


def test_an_active_job_is_not_forgotten(jobs: JobManager) -> None:
    gate = Gate()
    submit(jobs, "a", gate)
    jobs.forget("a")
    assert jobs.get("a").active
    gate.opened.set()


def test_asking_again_after_a_cancel_starts_anew_although_the_old_work_has_not_ended(jobs: JobManager) -> None:
    old, new = Gate("old"), Gate("new")
    submit(jobs, "a", old)
    assert old.started.wait(PATIENCE)
    jobs.cancel("a", "ann")
    submit(jobs, "a", new)
    old.opened.set()
    new.opened.set()
    assert ended(jobs, "a").result == "new"


def test_a_job_ends_once_all_its_owners_have_left() -> None:
    gone: set[tuple[str, str]] = set()
    now = [0.0]
    manager = JobManager({"slow": 1}, has_left=lambda owner, key, joined: (owner, key) in gone, clock=lambda: now[0])

    def work(handle: JobHandle) -> None:
        while not handle.should_stop():
            now[0] += LOOK_SECONDS

    submit(manager, "a", work)
    submit(manager, "a", work, owner="bob")
    submit(manager, "b", lambda handle: "has the lane")
    gone.add(("ann", "a"))
    assert manager.wait("a", lambda job: job.owners == {"bob"}, PATIENCE).active
    gone.add(("bob", "a"))
    over = ended(manager, "a")
    assert (over.state, over.deserted) == (JobState.CANCELLED, True)
    assert status_text(over) == "Job a ended, because all its tabs were closed."
    assert ended(manager, "b").result == "has the lane"
    manager.close()


def test_a_queued_job_of_owners_who_left_never_runs() -> None:
    ran: list[str] = []
    manager = JobManager({"slow": 1}, has_left=lambda owner, key, joined: owner == "ann")
    submit(manager, "a", lambda handle: ran.append("a"))
    submit(manager, "b", lambda handle: ran.append("b"), owner="bob")
    ended(manager, "b")
    assert (manager.get("a").state, ran) == (JobState.CANCELLED, ["b"])
    manager.close()


def test_an_owner_who_asks_again_joins_anew() -> None:
    now, told = [0.0], []
    manager = JobManager({"slow": 1}, has_left=lambda owner, key, joined: told.append(joined), clock=lambda: now[0])
    gate = Gate()
    submit(manager, "in front", gate)
    assert gate.started.wait(PATIENCE)
    submit(manager, "a", lambda handle: None)
    now[0] = 5.0
    submit(manager, "a", lambda handle: None)
    gate.opened.set()
    ended(manager, "a")
    assert told[-1] == 5.0
    manager.close()


def test_many_short_jobs_do_not_push_a_long_one_out(jobs: JobManager) -> None:
    submit(jobs, "long", lambda handle: "kept")
    ended(jobs, "long")
    for number in range(5):
        submit(jobs, f"short {number}", lambda handle: None, lane="quick")
        ended(jobs, f"short {number}")
    assert jobs.get("long").result == "kept"


def test_of_finished_jobs_the_longest_unused_are_forgotten(jobs: JobManager) -> None:
    for key in "abc":
        submit(jobs, key, lambda handle: None)
        ended(jobs, key)
        jobs.get("a")
    submit(jobs, "d", lambda handle: None)
    ended(jobs, "d")
    assert [key for key in "abcd" if jobs.get(key) is not None] == ["a", "d"]


def test_a_wait_ends_with_its_time_and_unknown_jobs_are_none(jobs: JobManager) -> None:
    gate = Gate()
    submit(jobs, "a", gate)
    assert jobs.wait("a", lambda job: False, timeout=0).active
    assert jobs.wait("unknown", lambda job: False, PATIENCE) is None
    assert jobs.get("unknown") is None
    gate.opened.set()


def test_closing_cancels_everything_and_refuses_more() -> None:
    manager, started = JobManager({"only": 1}), threading.Event()

    def work(handle: JobHandle) -> None:
        started.set()
        while not handle.should_stop():
            pass

    submit(manager, "a", work, lane="only")
    assert started.wait(PATIENCE)
    submit(manager, "b", Gate(), lane="only")
    manager.close(PATIENCE)
    # Not even the worker is left.
    assert manager.get("a").state is JobState.CANCELLED
    assert manager.get("b").state is JobState.CANCELLED
    assert "sparcode-only-0" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="closed"):
        submit(manager, "c", Gate(), lane="only")


def test_every_worker_is_prepared_once() -> None:
    threads: list[str] = []
    manager = JobManager({"one": 1}, on_worker_start=lambda: threads.append(threading.current_thread().name))
    names = []
    for key in "ab":
        submit(manager, key, lambda handle: names.append(threading.current_thread().name), lane="one")
        ended(manager, key)
    assert names == 2 * threads
    manager.close()


def test_bad_lanes_are_named(jobs: JobManager) -> None:
    with pytest.raises(ValueError, match="lane must be one of slow, quick; got 'fast'"):
        submit(jobs, "a", Gate(), lane="fast")
    for lanes in ({}, {"none": 0}):
        with pytest.raises(ValueError, match="at least one lane"):
            JobManager(lanes)


def test_a_job_that_waits_aside_leaves_its_lane_and_waits_for_it_afterwards(jobs: JobManager) -> None:
    aside, back = threading.Event(), threading.Event()
    other, last = Gate("other"), Gate("last")

    def work(handle: JobHandle) -> str:
        with handle.aside():
            aside.set()
            assert back.wait(PATIENCE)
        return "done"

    submit(jobs, "a", work)
    assert aside.wait(PATIENCE)
    submit(jobs, "b", other)
    submit(jobs, "c", last)
    assert other.started.wait(PATIENCE)
    back.set()
    returning = jobs.wait("a", lambda job: job.state is JobState.QUEUED, PATIENCE)
    assert (returning.ahead, jobs.keys_ahead("a"), jobs.running()) == (("job b",), ["b"], {"b"})
    other.opened.set()
    assert ended(jobs, "a").result == "done"
    last.opened.set()
    assert ended(jobs, "c").result == "last"


def test_a_job_that_waited_aside_goes_before_those_in_the_queue(jobs: JobManager) -> None:
    aside, gates = threading.Semaphore(0), {key: Gate(key) for key in "cde"}
    back = {key: threading.Event() for key in "ab"}

    def waits(key: str) -> Callable[[JobHandle], str]:
        def work(handle: JobHandle) -> str:
            with handle.aside():
                aside.release()
                assert back[key].wait(PATIENCE)
            return key

        return work

    # The second one in the worker that stands in for the first.
    for key in back:
        submit(jobs, key, waits(key))
        assert aside.acquire(timeout=PATIENCE)
    for key, gate in gates.items():
        submit(jobs, key, gate)
    assert gates["c"].started.wait(PATIENCE)
    back["a"].set()
    jobs.wait("a", lambda job: job.state is JobState.QUEUED, PATIENCE)
    assert [jobs.keys_ahead(key) for key in "ade"] == [["c"], ["c", "a"], ["c", "a", "d"]]
    gates["c"].opened.set()
    assert ended(jobs, "a").result == "a"
    for event in (back["b"], gates["d"].opened, gates["e"].opened):
        event.set()
    assert ended(jobs, "e").result == "e"


def test_a_job_that_fails_aside_ends_without_its_lane(jobs: JobManager) -> None:
    aside, back, other = threading.Event(), threading.Event(), Gate()

    def work(handle: JobHandle) -> None:
        with handle.aside():
            aside.set()
            assert back.wait(PATIENCE)
            raise ValueError("it waited too long")

    submit(jobs, "a", work)
    assert aside.wait(PATIENCE)
    submit(jobs, "b", other)
    assert other.started.wait(PATIENCE)
    back.set()
    assert ended(jobs, "a").error == "it waited too long"
    other.opened.set()
    assert ended(jobs, "b").state is JobState.DONE


def test_a_job_that_waits_aside_can_be_cancelled_and_closed() -> None:
    manager, aside = JobManager({"only": 1}), threading.Event()

    def work(handle: JobHandle) -> None:
        with handle.aside():
            aside.set()
            while not handle.should_stop():
                pass

    submit(manager, "a", work, lane="only")
    assert aside.wait(PATIENCE)
    assert manager.cancel("a", "ann")
    assert ended(manager, "a").state is JobState.CANCELLED
    manager.close(PATIENCE)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sparcode-only")]


def test_closing_waits_for_a_worker_that_stood_in_for_a_job_that_is_over() -> None:
    manager, left = JobManager({"only": 1}), []
    aside, over, started = threading.Event(), threading.Event(), threading.Event()

    def waits(handle: JobHandle) -> None:
        with handle.aside():
            aside.set()
            while not handle.should_stop():
                pass
        over.set()

    def is_slow_to_stop(handle: JobHandle) -> None:
        started.set()
        while not handle.should_stop():
            pass
        threading.Event().wait(0.2)
        left.append("slow")

    submit(manager, "a", waits, lane="only")
    assert aside.wait(PATIENCE)
    submit(manager, "b", is_slow_to_stop, lane="only")
    assert started.wait(PATIENCE)
    assert manager.cancel("a", "ann")
    assert over.wait(PATIENCE)
    manager.close(PATIENCE)
    assert left == ["slow"]


def test_a_job_may_answer_by_itself_when_all_its_owners_have_left() -> None:
    asked, now = threading.Event(), [0.0]
    manager = JobManager({"slow": 1}, has_left=lambda owner, key, joined: True, clock=lambda: now[0])

    def work(handle: JobHandle) -> str:
        while not asked.is_set():
            assert not handle.should_stop()
            now[0] += LOOK_SECONDS
        return "went on"

    manager.submit("a", "a job", work, "ann", "slow", on_left=asked.set)
    assert ended(manager, "a").result == "went on"
    manager.close()
