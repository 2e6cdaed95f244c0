from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.manager import JobManager
from app.train.panel import status
from app.training import run as training_run
from app.training import session as session_module
from app.training.control import Pace, PausedTooLong, TrainingControl
from app.training.data import TrainingData
from app.training.run import BACKBONE, JOINT, TWO_TOWER, EpochPoint, TrainingMonitor, usage_profile
from app.training.session import FROM_SCRATCH, KEPT_RUNS, TrainingSession
from app.training.time_left import time_left
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import build_run_index, train_sparcode
from tests.fakes import PATIENCE
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

KEY = "from scratch/ann"


class Held:
    """A session whose training can be followed from a test."""

    def __init__(self) -> None:
        self.jobs = JobManager({FROM_SCRATCH: 1})
        self.session = TrainingSession(self.jobs, tiny_data(), tiny_split(), CONFIG.split)
        self.data: TrainingData = self.session.shelf.own()

    def start(self, config: RunConfig = CONFIG, owner: str = "ann", two_tower: bool = False, one_epoch: bool = False) -> JobSnapshot:
        return self.session.start(owner, self.data, config, two_tower, one_epoch)

    def until_paused(self, n_points: int) -> None:
        """Returns once the worker waits after so many epochs, where nothing happens any more."""
        self.jobs.wait(KEY, lambda job: len(job.records) >= n_points, PATIENCE)
        self.session.pause("ann")
        assert self.session.view("ann").pace is Pace.PAUSED
        assert len(self.points()) == n_points

    def ended(self, owner: str = "ann") -> JobSnapshot:
        job = self.jobs.wait(f"from scratch/{owner}", lambda snapshot: False, PATIENCE)
        assert job is not None
        assert not job.active
        return job

    def trained(self, config: RunConfig = CONFIG, two_tower: bool = False) -> JobSnapshot:
        """The job of a run from start to end."""
        self.start(config, two_tower=two_tower)
        return self.ended()

    def start_reading(self) -> threading.Event:
        """Start a run whose data is read until the event is set."""
        goes_on, running = threading.Event(), threading.Event()

        def late() -> Split:
            running.set()
            assert goes_on.wait(PATIENCE)
            return tiny_split()

        self.session.start("ann", self.data._replace(split=late), CONFIG, two_tower=False)
        assert running.wait(PATIENCE)
        return goes_on

    def points(self) -> tuple[EpochPoint, ...]:
        return self.session.view("ann").points


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    monkeypatch.setattr(session_module, "PAUSE_PATIENCE", PATIENCE)
    opened = Held()
    yield opened
    opened.jobs.close()


def numbers(points: tuple[EpochPoint, ...]) -> list[tuple[object, ...]]:
    """What must not depend on pauses."""
    return [(*point[:2], *np.nan_to_num(np.array(point[2:8], dtype=float), nan=-1.0)) for point in points]


def point(stage: str, epoch: int, seconds: float) -> EpochPoint:
    return EpochPoint(stage, epoch, 1.0, math.nan, 0.1, math.nan, math.nan, 0, seconds, None)


def test_a_run_trains_backbone_then_codes_and_is_measured(held: Held) -> None:
    job = held.trained()
    assert job.state is JobState.DONE, job.error
    points = held.points()
    model, _, records = train_sparcode(tiny_split(), CONFIG)
    assert [one.epoch for one in points] == [one.epoch for one in records]
    assert [one.stage for one in points] == [BACKBONE] * 6 + [JOINT] * 4
    np.testing.assert_array_equal([one.recall for one in points], [one.recall for one in records])
    np.testing.assert_array_equal([one.loss for one in points], [one.loss for one in records])
    index = build_run_index(model, tiny_split().train, CONFIG.index)
    retriever = SparseRetriever(model, index, model.threshold, CONFIG.index.unseen)
    assert job.result.recall == accuracy(retriever, tiny_split().test, 50)[0]
    assert job.result.size_bytes == sum(index.size_bytes(model.threshold).values())
    assert math.isnan(job.result.two_tower)


def test_points_of_the_codes_hold_their_use_and_their_distance_to_tokens(held: Held) -> None:
    held.trained()
    coded = [one for one in held.points() if one.stage == JOINT]
    for one in coded:
        assert one.usage.shape == (2, 6)
        np.testing.assert_allclose(one.usage.mean(axis=1), 1, rtol=1e-5)
        assert (np.diff(one.usage, axis=1) <= 0).all()
        assert one.commitment > 0
        assert 1 <= one.perplexity <= 6
    assert all(one.usage is None and math.isnan(one.commitment) for one in held.points() if one.stage == BACKBONE)


def test_the_profile_of_a_large_codebook_is_thinned_out() -> None:
    counts = np.arange(1000, dtype=np.int64)[None]
    profile = usage_profile(counts)
    assert profile.shape == (1, training_run.USAGE_WIDTH)
    assert profile[0, 0] == pytest.approx(2, rel=1e-2)
    assert profile[0, -1] == 0
    assert not usage_profile(np.zeros((2, 4), dtype=np.int64)).any()


def test_a_run_that_is_paused_and_stepped_through_ends_as_if_there_had_been_no_pause(held: Held) -> None:
    held.trained()
    straight = numbers(held.points())
    held.start(one_epoch=True)
    for n_points in (1, 2, 3):
        held.until_paused(n_points)
        held.session.step("ann")
    held.until_paused(4)
    assert [one.epoch for one in held.points()] == [1, 2, 3, 4]
    held.session.resume("ann")
    assert held.ended().state is JobState.DONE
    assert numbers(held.points()) == straight


def test_a_forgotten_pause_ends_the_run() -> None:
    times = iter((0.0, 1800.0, 1801.0))
    control = TrainingControl(clock=lambda: next(times))
    control.pause()
    with pytest.raises(PausedTooLong, match="was paused for 30 minutes"):
        control.wait(lambda: False)
    assert control.waited_seconds == 1801.0


def test_the_control_says_how_a_run_goes_on() -> None:
    control = TrainingControl()
    assert control.pace is Pace.RUNNING
    control.wait(lambda: False)
    control.pause()
    assert control.pace is Pace.PAUSING
    waiting = threading.Thread(target=control.wait, args=(lambda: False,))
    waiting.start()
    control.pause(PATIENCE)
    assert control.pace is Pace.PAUSED
    control.step()
    waiting.join(PATIENCE)
    assert control.pace is Pace.STEPPING
    control.epoch_done()
    assert control.pace is Pace.PAUSING
    control.resume()
    assert control.pace is Pace.RUNNING


def test_a_paused_run_leaves_its_lane_to_other_owners_who_see_only_their_own(held: Held) -> None:
    held.start(one_epoch=True)
    held.until_paused(1)
    assert held.start().key == KEY
    assert held.session.view("ann").plan.number == 1
    held.start(owner="bob")
    assert held.ended("bob").state is JobState.DONE
    held.session.resume("bob")
    assert held.session.view("ann").pace is Pace.PAUSED
    assert not held.session.cancel("carl")
    held.session.resume("ann")
    assert held.ended().state is JobState.DONE
    assert [len(held.session.view(owner).points) for owner in ("ann", "bob", "carl")] == [10, 10, 0]


def test_a_queued_run_knows_its_place_and_how_long_the_runs_ahead_take(held: Held) -> None:
    held.trained()
    goes_on = held.start_reading()
    held.start(owner="bob")
    waiting = held.session.view("bob")
    assert waiting.state is JobState.QUEUED
    assert waiting.job.ahead == ("training run 2 from scratch",)
    (left,) = waiting.ahead
    assert left.seconds > 0
    assert not left.unknown
    assert "number 1 in the queue, for about" in status(waiting)
    goes_on.set()
    assert held.ended("bob").state is JobState.DONE


def test_a_run_that_is_started_while_the_cancelled_one_ends_waits_for_no_other(held: Held) -> None:
    goes_on = held.start_reading()
    held.session.cancel("ann")
    held.start()
    for owner in ("bob", "carl", "dora"):
        held.start(owner=owner)
    waiting = [held.session.view(owner) for owner in ("ann", "bob", "carl", "dora")]
    assert [(view.state, len(view.ahead)) for view in waiting] == [(JobState.QUEUED, place) for place in range(4)]
    assert "in the queue" not in status(waiting[0])
    goes_on.set()
    assert held.ended().state is JobState.DONE


def test_a_run_whose_visitor_has_left_is_paused() -> None:
    opened, gone = Held(), threading.Event()
    opened.jobs.close()
    opened.jobs = JobManager({FROM_SCRATCH: 1}, has_left=lambda owner, key, joined: gone.is_set())
    opened.session = TrainingSession(opened.jobs, tiny_data(), tiny_split(), CONFIG.split)
    gone.set()
    # Each pause lets the next one start, which ends the wait for it.
    for owner in ("ann", "bob", "carl"):
        opened.start(owner=owner)
    try:
        for owner in ("ann", "bob"):
            opened.jobs.wait(f"from scratch/{owner}", lambda job, owner=owner: opened.session.view(owner).pace is Pace.PAUSED, PATIENCE)
            assert opened.session.view(owner).pace is Pace.PAUSED
    finally:
        opened.jobs.close()


def test_only_the_job_of_a_run_holds_its_data(held: Held) -> None:
    held.start(owner="bob", one_epoch=True)
    held.start()
    assert held.session.view("ann").state is JobState.QUEUED
    with pytest.raises(RuntimeError, match="not kept"):
        held.session.view("ann").plan.data.split()
    held.session.cancel("bob")
    held.ended()
    view = held.session.view("ann")
    assert view.plan.data.name == held.data.name
    with pytest.raises(RuntimeError, match="not kept"):
        view.plan.data.split()
    held.start(CONFIG)
    (earlier,) = held.session.view("ann").earlier
    with pytest.raises(RuntimeError, match="not kept"):
        earlier.plan.data.split()


def test_finished_runs_are_kept_in_bounds_and_stand_behind_the_next(held: Held) -> None:
    quick = changed(training={"epochs": 1, "joint_epochs": 1})
    for _ in range(KEPT_RUNS + 2):
        held.trained(quick)
    view = held.session.view("ann")
    assert [run.plan.number for run in view.earlier] == list(range(3, KEPT_RUNS + 2))
    assert view.plan.number == KEPT_RUNS + 2
    assert all(one.usage is None for run in view.earlier for one in run.points)
    held.session.forget_earlier("ann")
    assert not held.session.view("ann").earlier


def test_the_two_tower_baseline_is_trained_once_and_known_afterwards(held: Held) -> None:
    first = held.trained(two_tower=True)
    assert first.state is JobState.DONE, first.error
    baseline = held.session.view("ann").baseline
    assert baseline
    assert {one.stage for one in baseline} == {TWO_TOWER}
    second = held.trained(changed(quantizer={"codebook_size": 4}), two_tower=True)
    view = held.session.view("ann")
    assert not [one for one in view.points if one.stage == TWO_TOWER]
    np.testing.assert_array_equal([one.recall for one in view.baseline], [one.recall for one in baseline])
    assert second.result.two_tower == first.result.two_tower


def test_time_left_follows_the_measured_epochs() -> None:
    most = {BACKBONE: 4, JOINT: 2, TWO_TOWER: 6}
    assert time_left((), most, {}) == (0.0, (BACKBONE, JOINT, TWO_TOWER))
    assert time_left((point(BACKBONE, 1, 2.0), point(BACKBONE, 2, 4.0)), most, {}) == (6.0, (JOINT, TWO_TOWER))
    assert time_left((point(BACKBONE, 1, 2.0),), most, {JOINT: 5.0, TWO_TOWER: 1.0}) == (22.0, ())
    # The backbone ended early, and the state after k-means is no epoch.
    assert time_left((point(BACKBONE, 1, 2.0), point(JOINT, 0, 9.0)), most, {TWO_TOWER: 1.0}) == (6.0, (JOINT,))
    done = (point(BACKBONE, 4, 1.0), point(JOINT, 2, 1.0), point(TWO_TOWER, 6, 1.0))
    assert time_left(done, most, {}).seconds == 0
    assert time_left((point(BACKBONE, 1, 1.0),), {BACKBONE: 3, JOINT: 0}, {}) == (2.0, ())


def test_the_estimate_of_a_second_run_knows_all_stages(held: Held) -> None:
    held.trained()
    held.start(one_epoch=True)
    held.until_paused(1)
    left = held.session.view("ann").left
    assert not left.unknown
    assert left.seconds > 0


def test_a_monitor_leaves_a_cut_short_epoch_and_pauses_out() -> None:
    seen: list[EpochPoint] = []
    now, control = [10.0], TrainingControl(clock=lambda: now[0])
    monitor = TrainingMonitor(control, JobHandle(seen.append, threading.Event().is_set), clock=lambda: now[0])
    publish = monitor.on_epoch(BACKBONE)
    record = EpochRecord(1, 1.0, 0.0, 0.1, math.nan, math.nan, 0, 0, 0.1, True)
    publish(record)
    assert not seen
    control.pause()

    def cancelled_after_a_while() -> bool:
        now[0] += 100.0
        return True

    control.wait(cancelled_after_a_while)
    now[0] += 2.0
    publish(record._replace(stopped=False))
    assert [point.seconds for point in seen] == [2.0]


def test_an_address_names_a_run_until_its_process_ends(held: Held) -> None:
    assert held.session.run_id("ann") == ""
    held.start()
    named = held.session.run_id("ann")
    assert not held.session.is_lost(named)
    assert Held().session.is_lost(named)
    assert not any(held.session.is_lost(text) for text in ("", "run", "<b>-1", f"{named}-"))


def test_the_paces_of_runs_are_read_by_one_thread_at_a_time(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(dict[str, object]):
        def get(self, *arguments: object) -> object:
            assert held.session._lock.locked()
            return super().get(*arguments)

    held.start()
    held.ended()
    monkeypatch.setattr(held.session, "_paces", Watched())
    assert held.session.view("ann").left.unknown == ()
