from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.job import JobSnapshot, JobState
from app.jobs.manager import JobManager
from app.kept.runs import KeptRuns
from app.kept.sweep_jobs import READINGS, SWEEPS, SweepJobs, SweepProgress
from app.kept.sweeps import MOST_SWEEPS, RECORDED_NAME, RECORDING, KeptSweeps
from app.kept.trials import keep_trial
from sparcode.config import SweepConfig
from sparcode.sweep.definition import DEFINITION
from sparcode.sweep.folder import create
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.run import run_sweep
from sparcode.sweep.space import parse_space
from sparcode.sweep.trial import run_trial
from tests.fakes import PATIENCE
from tests.sweep.planted import Inline, planted_folder, write_planted
from tests.tiny import CONFIG, tiny_data


@pytest.fixture
def sweeps(tmp_path: Path) -> KeptSweeps:
    (tmp_path / "sweeps").mkdir()
    return KeptSweeps(tmp_path / "sweeps", tmp_path / "recorded")


@pytest.fixture
def manager() -> Iterator[JobManager]:
    jobs = JobManager({SWEEPS: 1, READINGS: 1})
    yield jobs
    jobs.close()


def ended(manager: JobManager, job: JobSnapshot) -> JobSnapshot:
    found = manager.wait(job.key, lambda one: False, PATIENCE)
    assert found is not None
    assert not found.active
    return found


def test_sweeps_of_a_folder_are_listed_the_one_begun_last_first_and_the_recorded_one_is_marked(sweeps: KeptSweeps, tmp_path: Path) -> None:
    for number, name in enumerate(("first", "second", "Not a name")):
        planted_folder(tmp_path / "sweeps" / name)
        os.utime(tmp_path / "sweeps" / name / DEFINITION, (number, number))
    (tmp_path / "sweeps" / "empty").mkdir()
    assert sweeps.names == ("second", "first")
    assert sweeps.load("first").trials == ()
    assert sweeps.recording(RECORDED_NAME) is None
    planted_folder(tmp_path / "recorded")
    (tmp_path / "recorded" / RECORDING).write_text(json.dumps({"day": "2026-12-01", "machine": "a machine"}))
    assert sweeps.recording(RECORDED_NAME).words == "on 1 December 2026 (a machine)"
    assert sweeps.recording("first") is None
    assert sweeps.load(RECORDED_NAME).definition.n_trials > 0
    assert KeptSweeps(None).names == ()
    assert not KeptSweeps(None).can_keep


@pytest.mark.parametrize("name", ["gone", "../first", "First", "", "a/b"])
def test_a_name_of_no_sweep_is_refused(sweeps: KeptSweeps, tmp_path: Path, name: str) -> None:
    planted_folder(tmp_path / "sweeps" / "first")
    with pytest.raises(ValueError, match="no sweep of this name"):
        sweeps.load(name)


def test_a_new_sweep_needs_a_free_name_and_room(sweeps: KeptSweeps, tmp_path: Path) -> None:
    planted_folder(tmp_path / "sweeps" / "first")
    assert (sweeps.free_name("First"), sweeps.free_name("other")) == ("first-2", "other")
    with pytest.raises(ValueError, match="there is a sweep 'first' already"):
        sweeps.check_new("first")
    with pytest.raises(ValueError, match="small letters, digits and single hyphens"):
        sweeps.check_new("../x")
    for number in range(MOST_SWEEPS - 1):
        planted_folder(tmp_path / "sweeps" / f"s{number}")
    with pytest.raises(ValueError, match=f"{MOST_SWEEPS} sweeps are kept"):
        sweeps.check_new("another")
    with pytest.raises(ValueError, match="keeps no sweeps"):
        KeptSweeps(None).check_new("x")
    sweeps.delete("first")
    sweeps.check_new("first")


def test_a_sweep_runs_in_the_background_and_tells_how_far_it_is(sweeps: KeptSweeps, manager: JobManager, tmp_path: Path) -> None:
    jobs = SweepJobs(manager, sweeps, lambda n_workers: Inline())
    job = jobs.start("mine", "ann", 1, lambda: planted_folder(tmp_path / "sweeps" / "mine", trials=6))
    done = ended(manager, job)
    assert (done.state, done.result, done.error) == (JobState.DONE, "complete", "")
    assert [record.n_finished for record in done.records if isinstance(record, SweepProgress)] == list(range(1, 7))
    sweep = sweeps.load("mine")
    assert len(sweep.complete) == 6
    assert not sweep.is_running
    shares = ended(manager, jobs.importance("mine", sweep, "recall", "ann")).result
    assert max(shares, key=shares.get) == "quantizer.codebook_size"
    assert jobs.importance("mine", sweep, "recall", "bob").result == shares


def test_sweeps_that_take_too_much_room_end_and_are_not_gone_on_with(
    sweeps: KeptSweeps, manager: JobManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.kept.sweeps.MOST_BYTES", 100_000)
    folder = planted_folder(tmp_path / "sweeps" / "mine", trials=6)

    def large(request: TrialRequest) -> bool:
        file = folder / f"model-{request.number}"
        # The same file under several names takes its room once.
        os.link(folder / "model-0", file) if request.number in (1, 2) else file.write_bytes(bytes(60_000))
        return write_planted(request)

    jobs = SweepJobs(manager, sweeps, lambda n_workers: Inline(large))
    found = ended(manager, jobs.start("mine", "ann", 1))
    assert found.state is JobState.FAILED
    assert "sweeps take 0 MB, at most 0 MB are kept; delete one first" in found.error
    assert len(sweeps.load("mine").trials) == 4
    with pytest.raises(ValueError, match="delete one first"):
        jobs.start("mine", "ann", 1)


def test_what_matters_is_told_of_this_sweep_whoever_left_before(sweeps: KeptSweeps, tmp_path: Path) -> None:
    left, go_on = set(), threading.Event()
    manager = JobManager({SWEEPS: 1, READINGS: 1}, has_left=lambda owner, key, joined: owner in left)
    try:
        jobs = SweepJobs(manager, sweeps)
        planted_folder(tmp_path / "sweeps" / "mine", trials=24, sampler="grid")
        run_sweep(tmp_path / "sweeps" / "mine", Inline())
        sweep = sweeps.load("mine")
        manager.submit("before", "another reading", lambda handle: go_on.wait(PATIENCE), "eve", READINGS)
        jobs.importance("mine", sweep, "recall", "ann")
        assert jobs.importance("mine", sweep, "recall", "bob").owners == {"ann", "bob"}
        left |= {"ann", "bob"}
        go_on.set()
        assert ended(manager, jobs.importance("mine", sweep, "recall", "ann")).state is JobState.CANCELLED
        assert set(ended(manager, jobs.importance("mine", sweep, "recall", "cat")).result) == set(sweep.definition.space.settings)
        # Deleted, and another one made by its name.
        sweeps.delete("mine")
        planted_folder(tmp_path / "sweeps" / "mine", ("codebook_size=8..31", "dropout=0.1,0.2"), trials=24)
        run_sweep(tmp_path / "sweeps" / "mine", Inline())
        again = sweeps.load("mine")
        assert set(ended(manager, jobs.importance("mine", again, "recall", "cat")).result) == set(again.definition.space.settings)
    finally:
        manager.close()


def test_one_sweep_at_a_time_whoever_asks_and_only_its_owner_ends_it(sweeps: KeptSweeps, manager: JobManager, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(request: TrialRequest) -> bool:
        begun.set()
        go_on.wait(PATIENCE)
        return write_planted(request)

    jobs = SweepJobs(manager, sweeps, lambda n_workers: Inline(slowly))
    for name in ("mine", "other"):
        planted_folder(tmp_path / "sweeps" / name, trials=5)
    job = jobs.start("mine", "ann", 1)
    assert begun.wait(PATIENCE)
    assert jobs.under_way() == "mine"
    # Nor does who asks for it again become one of those who can end it.
    for name in ("other", "mine"):
        with pytest.raises(ValueError, match="the sweep 'mine' is under way"):
            jobs.start(name, "bob", 1)
    assert jobs.start("mine", "ann", 1).key == job.key
    assert sweeps.load("mine").is_running
    with pytest.raises(ValueError, match="it is running; cancel it first"):
        sweeps.delete("mine")
    assert jobs.may_cancel("mine", "ann")
    assert not jobs.may_cancel("mine", "bob")
    jobs.cancel("mine", "bob")
    assert jobs.under_way() == "mine"
    jobs.cancel("mine", "ann")
    go_on.set()
    assert ended(manager, job).state is JobState.CANCELLED
    while sweeps.load("mine").is_running:
        pass
    n_finished = len(sweeps.load("mine").trials)
    assert n_finished < 5
    # Gone on with, also by another process: finished trials stay.
    before = {trial.number: trial for trial in sweeps.load("mine").trials}
    assert ended(manager, jobs.start("mine", "bob", 1)).result == "complete"
    after = {trial.number: trial for trial in sweeps.load("mine").trials}
    assert len(after) == 5
    assert all(after[number] == trial for number, trial in before.items())


def test_a_sweep_that_cannot_be_made_fails_with_the_reason(sweeps: KeptSweeps, manager: JobManager) -> None:
    jobs = SweepJobs(manager, sweeps, lambda n_workers: Inline())
    found = ended(manager, jobs.start("gone", "ann", 1))
    assert found.state is JobState.FAILED
    assert "sweep.json cannot be read" in found.error
    assert jobs.under_way() == ""


def test_a_trial_becomes_a_run_of_the_studio_once(sweeps: KeptSweeps, manager: JobManager, tmp_path: Path) -> None:
    place, space = tmp_path / "sweeps" / "mine", parse_space(["quantizer.codebook_size=4,6"])
    jobs = SweepJobs(manager, sweeps, lambda n_workers: Inline(run_trial))
    make = lambda: create(place, tiny_data(), CONFIG, space, SweepConfig(sampler="grid", trials=2))  # noqa: E731
    assert ended(manager, jobs.start("mine", "ann", 1, make)).result == "complete"
    sweep, kept = sweeps.load("mine"), KeptRuns(tmp_path / "runs")
    assert keep_trial(kept, "mine", sweep, 1) == keep_trial(kept, "mine", sweep, 1) == "mine-trial-1"
    assert kept.names == ("mine-trial-1",)
    opened = kept.open("mine-trial-1")
    assert opened.run.config.content_hash() == sweep.trials[1].settings.content_hash()
    assert opened.models.tuned(opened.run.config) is not None
    # Another run of that name is left alone.
    assert keep_trial(kept, "mine", sweep._replace(trials=sweep.trials[:1]), 0) == "mine-trial-0"
    kept.delete("mine-trial-1")
    (tmp_path / "runs" / "mine-trial-0").rename(tmp_path / "runs" / "mine-trial-1")
    assert keep_trial(kept, "mine", sweep, 1) == "mine-trial-1-2"
    with pytest.raises(ValueError, match=r"trial 7 .* has no run"):
        keep_trial(kept, "mine", sweep, 7)
