"""A sweep from start to end on planted trials: order, seeds, failures, cancelling, and going on after its process was killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import numpy as np
import optuna
import pytest

import sparcode.sweep
from sparcode.sweep.events import EventLog
from sparcode.sweep.executors import WorkerDied
from sparcode.sweep.folder import load
from sparcode.sweep.journal import JOURNAL, Hopeless, Journal
from sparcode.sweep.record import TrialRecord, read_record
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.run import Listener, run_sweep
from sparcode.sweep.session import cancel, is_running, session
from tests.sweep.planted import SPACE, Inline, definition, planted_folder, planted_record, write_planted

N_KILLS = 10
TRACED = (str(Path(sparcode.sweep.__file__).parent), str(Path(optuna.__file__).parent / "storages" / "journal"))


class Told(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.finished: list[tuple[int, str, int]] = []
        self.stages: list[tuple[int, str]] = []

    def on_started(self, number: int, params: dict) -> None:
        self.started.append(number)

    def on_event(self, number: int, event: object) -> None:
        self.stages.append((number, event.stage))

    def on_finished(self, record: TrialRecord, n_finished: int, seconds_left: float) -> None:
        self.finished.append((record.number, record.state, n_finished))


def tried(folder: Path) -> list[tuple]:
    """Settings of all finished trials."""
    return [tuple(trial.params.values()) for trial in load(folder).trials]


@pytest.mark.parametrize("sampler", ["bayesian", "random", "grid"])
def test_a_sweep_tries_each_setting_once_and_is_the_same_again(tmp_path: Path, sampler: str) -> None:
    first, again, other = (
        planted_folder(tmp_path / name, SPACE, seed, sampler=sampler, trials=20) for name, seed in zip("abc", (3, 3, 4), strict=True)
    )
    told, executor = Told(), Inline()
    assert run_sweep(first, executor, told) == "complete"
    assert executor.closed
    assert told.started == list(range(20))
    assert told.finished == [(number, "complete", number + 1) for number in range(20)]
    for folder in (again, other):
        run_sweep(folder, Inline())
    assert len(set(tried(first))) == 20
    assert tried(again) == tried(first)
    assert tried(other) != tried(first)
    assert load(first).is_finished
    # Nothing is left to do.
    executor = Inline()
    assert run_sweep(first, executor) == "complete"
    assert executor.requests == []


def test_a_space_that_is_used_up_ends_the_sweep(tmp_path: Path) -> None:
    # token_dim is 64, which 3 does not divide: such settings are not drawn.
    folder = planted_folder(tmp_path / "sweep", ("n_codebooks=1,2,3", "n_nearest=1..4"), trials=100)
    assert run_sweep(folder, Inline()) == "complete"
    assert sorted(tried(folder)) == [(books, nearest) for books in (1, 2) for nearest in (1, 2, 3, 4)]


def test_bayesian_search_finds_the_planted_best_sooner_than_its_share(tmp_path: Path) -> None:
    texts = ("codebook_size=16..1024 log", "n_nearest=1..64 log")
    found = []
    for sampler in ("bayesian", "random"):
        folder = planted_folder(tmp_path / sampler, texts, sampler=sampler, trials=30)
        run_sweep(folder, Inline())
        found.append(np.mean([trial.value() for trial in load(folder).trials[-15:]]))
    assert found[0] > found[1] + 0.05


def test_a_search_for_the_front_finds_small_indexes_too(tmp_path: Path) -> None:
    sizes, judged = {}, {}
    for objective in ("recall", "front"):
        folder = planted_folder(tmp_path / objective, ("codebook_size=16..1024 log", "n_nearest=1..64 log"), objective=objective, trials=30)
        run_sweep(folder, Inline())
        late = load(folder).trials[-15:]
        sizes[objective] = np.median([trial.own.size_bytes for trial in late])
        judged[objective] = Hopeless(folder, load(folder).definition).after({0: 0.0, 1: 0.0})
    assert sizes["front"] < 0.5 * sizes["recall"]
    assert judged == {"recall": True, "front": False}


def test_failed_and_dead_trials_are_skipped_and_kept_in_words(tmp_path: Path) -> None:
    folder, told = planted_folder(tmp_path / "sweep", trials=6), Told()

    def some(request: TrialRequest) -> bool:
        if request.number == 2:
            raise WorkerDied("the process of the trial was killed by SIGKILL")
        return write_planted(request)

    assert run_sweep(folder, Inline(some), told) == "complete"
    assert [state for _, state, _ in told.finished] == ["complete", "complete", "failed", "complete", "complete", "complete"]
    assert load(folder).trials[2].error == "the process of the trial was killed by SIGKILL"
    assert len(load(folder).complete) == 5


def test_a_worker_that_can_run_no_trial_ends_the_sweep(tmp_path: Path) -> None:
    folder = planted_folder(tmp_path / "sweep", trials=6)

    def none(request: TrialRequest) -> bool:
        raise ValueError("other data than when the sweep began")

    executor = Inline(none)
    with pytest.raises(ValueError, match="other data"):
        run_sweep(folder, executor)
    assert executor.closed
    with pytest.raises(RuntimeError, match="must be one folder for all"):
        run_sweep(folder, Inline(lambda request: False))
    assert run_sweep(folder, Inline()) == "complete"
    assert len(tried(folder)) == 6


def test_cancelled_stopped_and_late_sweeps_go_on_where_they_were(tmp_path: Path) -> None:
    folder, whole = (planted_folder(tmp_path / name, trials=9) for name in ("sweep", "whole"))
    assert not cancel(folder)

    def three(request: TrialRequest) -> bool:
        assert is_running(folder)
        return (request.number == 3 and cancel(folder) and False) or write_planted(request)

    assert run_sweep(folder, Inline(three)) == "stopped"
    assert not is_running(folder)
    assert len(tried(folder)) == 4
    calls = iter([False, False, True])
    assert run_sweep(folder, Inline(), should_stop=lambda: next(calls)) == "stopped"
    assert run_sweep(folder, Inline(), max_seconds=0) == "out of time"
    assert len(tried(folder)) == 6
    assert run_sweep(folder, Inline()) == "complete"
    run_sweep(whole, Inline())
    assert tried(folder) == tried(whole)


def test_what_killed_processes_left_half_written_is_removed(tmp_path: Path) -> None:
    folder = planted_folder(tmp_path / "sweep", trials=2)
    for name in ("backbones/0123.77.new", "trials/0000.77.new"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("half")
    assert run_sweep(folder, Inline()) == "complete"
    assert list(folder.rglob("*.new")) == []


def test_one_process_runs_a_sweep_at_a_time(tmp_path: Path) -> None:
    folder, executor = planted_folder(tmp_path / "sweep"), Inline()
    with session(folder), pytest.raises(ValueError, match="another process runs the sweep"):
        run_sweep(folder, executor)
    assert executor.closed


def test_a_killed_process_is_not_taken_for_one_that_has_its_number_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = planted_folder(tmp_path / "sweep", trials=3)
    path, long_ago = folder / "session", time.time() - 300
    # As after a restart of a container: the number is this process's own, or the machine has another name.
    for host in (socket.gethostname(), "elsewhere"):
        path.write_text(f"word {os.getpid()} {host}")
        assert is_running(folder)
        os.utime(path, (long_ago, long_ago))
        assert not is_running(folder)
    monkeypatch.setattr("sparcode.sweep.session._BEAT_SECONDS", 0.0)
    seen = []

    def silent(request: TrialRequest) -> bool:
        seen.append(is_running(folder))
        os.utime(path, (long_ago, long_ago))
        return write_planted(request)

    # A process that lives shows it.
    assert run_sweep(folder, Inline(silent)) == "complete"
    assert seen == [True] * 3


def test_what_trials_do_is_told_and_seen_from_outside(tmp_path: Path) -> None:
    folder, told, seen = planted_folder(tmp_path / "sweep", trials=2), Told(), []

    def with_events(request: TrialRequest) -> bool:
        log = EventLog(folder, request.number, request.session, request.params)
        log.write("backbone", 1, 5, 0.25)
        log.write("joint", 2, 4, 0.5)
        seen.append(load(folder).under_way)
        return write_planted(request)

    run_sweep(folder, Inline(with_events), told)
    assert told.stages == [(0, "backbone"), (0, "joint"), (1, "backbone"), (1, "joint")]
    assert [(number, event.stage, event.epoch, event.recall) for number, event in seen[1].items()] == [(1, "joint", 2, 0.5)]
    assert load(folder).under_way == {}


def test_hopeless_trials_are_those_below_the_others(tmp_path: Path) -> None:
    def of(pruner: str, texts: tuple[str, ...] = SPACE, n_trials: int = 8, **search: object) -> Hopeless:
        place = tmp_path / f"{pruner}-{len(texts)}-{n_trials}-{len(search)}"
        folder = planted_folder(place, texts, pruner=pruner, sampler="grid", trials=24, **search)
        journal = Journal(folder, load(folder).definition)
        for _ in range(n_trials):
            number, params = journal.begin()
            journal.finish(planted_record(number, params))
        return Hopeless(folder, load(folder).definition)

    recalls = sorted(epoch.recall for number in range(8) for epoch in planted_record(number, definition().space.grid()[number]).epochs[1:2])
    low, middle = np.percentile(recalls, 20), np.percentile(recalls, 40)
    assert of("quartile").after({0: 0.1, 1: low})
    assert not of("quartile", n_trials=9).after({0: 0.1})
    assert not of("none").after({0: 0.1, 1: 0.0})
    median = of("median")
    assert median.after({0: 0.1, 1: middle})
    assert not median.after({0: 0.9, 1: middle})
    assert not of("median", n_trials=4).after({0: 0.0, 1: 0.0})
    # A large index that is hopeful may have nothing within the bytes.
    assert not of("median", max_bytes=3_200).after({0: 0.1, 1: middle})
    assert not of("median", ("density=0.1,0.2,0.3", *SPACE)).after({0: 0.0, 1: 0.0})


def test_a_half_written_line_of_the_journal_is_taken_back(tmp_path: Path) -> None:
    folder, whole = (planted_folder(tmp_path / name, trials=8) for name in ("sweep", "whole"))
    run_sweep(whole, Inline())
    calls = iter([False] * 4 + [True])
    run_sweep(folder, Inline(), should_stop=lambda: next(calls))
    path = folder / JOURNAL
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert run_sweep(folder, Inline()) == "complete"
    assert tried(folder) == tried(whole)
    path.write_bytes(b"[1]\n" + content)
    with pytest.raises(ValueError, match=r"journal\.jsonl is damaged"):
        run_sweep(folder, Inline())


def logging_trial(log: Path) -> Callable[[TrialRequest], bool]:
    """A planted trial that notes each time it is run, and whether it had been finished before."""

    def run(request: TrialRequest) -> bool:
        finished = read_record(Path(request.folder), request.number) is not None
        with log.open("a") as file:
            file.write(json.dumps([request.number, finished]) + "\n")
        return write_planted(request)

    return run


def killed_at(line: int, folder: Path, log: Path) -> bool:
    """Run the sweep in a process that is killed as it comes to this line of the sweep's or the journal's code; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            left = line

            def trace(frame: FrameType, event: str, argument: object) -> Callable | None:
                nonlocal left
                if not frame.f_code.co_filename.startswith(TRACED):
                    return None
                left -= event == "line"
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return trace

            sys.settrace(trace)
            run_sweep(folder, Inline(logging_trial(log)))
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_ten_random_moments_no_finished_trial_is_lost_or_repeated(tmp_path: Path, seed: int) -> None:
    whole, folder = (planted_folder(tmp_path / name, SPACE, seed, sampler="random", trials=20) for name in ("whole", "sweep"))
    log, rng = tmp_path / "log", np.random.default_rng(seed)
    run_sweep(whole, Inline())
    kills, kept = 0, {}
    while kills < N_KILLS:
        assert killed_at(int(rng.integers(1, 6000)), folder, log), "the sweep ended before it was killed ten times"
        kills += 1
        found = {trial.number: trial for trial in load(folder).trials}
        # What had finished is there as it was.
        assert kept.items() <= found.items()
        kept = found
    assert run_sweep(folder, Inline(logging_trial(log))) == "complete"
    assert 0 < len(kept) < 20
    runs = [json.loads(line) for line in log.read_text().splitlines()]
    assert not any(finished for _, finished in runs)
    assert {number for number, _ in runs} == set(range(20))
    assert load(folder).trials == load(whole).trials
    states = [trial.state.name for trial in Journal(folder, load(folder).definition)._study.trials]
    assert states == ["COMPLETE"] * 20
