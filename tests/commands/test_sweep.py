from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sparcode.sweep.folder import load
from sparcode.sweep.run import run_sweep
from sparcode.sweep.trial import run_trial
from tests.commands.conftest import TINY, TINY_DATA, Command, Output
from tests.sweep.planted import Inline

VARY = ("--vary", "codebook_size=4,6,8", "--vary", "n_nearest=1,2,4")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials run here: a process of their own takes seconds to start."""

    def executor(*given: object) -> Inline:
        made = Inline(run_trial)
        made.threads = 0
        return made

    monkeypatch.setattr("sparcode.commands.sweep._executor", executor)


def test_it_ends_with_the_front_the_answer_and_what_matters(command: Command, output: Output, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    result = command("sweep", *TINY, *VARY, "--trials", 5, "--out", folder)
    assert result.exit_code == 0, result.stderr
    told = result.stderr.splitlines()
    assert told[0] == "5 trials: bayesian search over quantizer.codebook_size, quantizer.n_nearest"
    assert sum(bool(re.match(r"trial \d started: codebook_size \d, n_nearest \d$", line)) for line in told) == 5
    assert re.match(r"trial 0 \(1 of 5\) validation recall@50 0\.\d{4} in .*; \d+\.\d s, about \d+ (s|min) left$", told[3])
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["trial", "codebook_size", "n_nearest", "threshold", "Recall@50", "p50", "latency", "index", "size"]
    assert "The smallest index within 1% of the best recall is" in result.stdout
    assert "What recall depends on (fANOVA): quantizer." in result.stdout
    assert "runs in" in lines[-1]
    # A trial is a run like any other.
    for trial in load(folder).complete:
        evaluated = json.loads(output("evaluate", folder / "runs" / trial.run, *TINY_DATA, "--split", "validation", "--json"))
        own = next(point for point in trial.curve if point.is_own)
        assert evaluated["recall"] == pytest.approx(own.recall)
    found = output("retrieve", folder / "runs" / trial.run, "--items", 1, "--items", 2, "--k", 3)
    assert len(found.strip().splitlines()) >= 3


def test_json_is_one_object_and_its_command_repeats_it(output: Output, tmp_path: Path) -> None:
    flags = ("--vary", "codebook_size=4..8 3", "--sampler", "grid", "--max-bytes", 6000, "--seed", 3)
    first = json.loads(output("sweep", *TINY, *flags, "--out", tmp_path / "sweep", "--json"))
    assert [trial["quantizer.codebook_size"] for trial in first["trials"]] == [4, 6, 8]
    assert all(trial["best_size_bytes"] <= 6000 for trial in first["trials"])
    assert first["ended"] == "complete"
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", first["command"])]
    assert words[:2] == ["sparcode", "sweep"]
    again = json.loads(output(*words[1:-1], tmp_path / "again", "--json"))
    timeless = [name for name in first["trials"][0] if not name.endswith(("_ms", "seconds"))]
    assert [[trial[name] for name in timeless] for trial in again["trials"]] == [
        [trial[name] for name in timeless] for trial in first["trials"]
    ]
    assert again["definition"]["config"] == first["definition"]["config"]


def test_a_stopped_sweep_goes_on(command: Command, refused: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sweep"
    calls = []

    def interrupted(request: object) -> bool:
        calls.append(request)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_trial(request)

    monkeypatch.setattr("sparcode.commands.sweep._executor", lambda *_: Inline(interrupted))
    stopped = command("sweep", *TINY, *VARY, "--trials", 4, "--out", folder, "--quiet")
    assert stopped.exit_code == 130
    assert stopped.stderr.strip().endswith(f"2 finished trials are kept in {folder}; sparcode sweep --resume --out {folder} goes on")
    assert "add --resume" in refused("sweep", *TINY, *VARY, "--out", folder)
    result = command("sweep", "--resume", "--out", folder)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("4 trials, 2 of them finished before")
    assert len(calls) == 5
    # Nothing is left to do: the table again.
    assert command("sweep", "--resume", "--out", folder).stdout == result.stdout
    assert len(calls) == 5


def test_failed_trials_are_told_and_if_all_fail_the_sweep_does(command: Command, tmp_path: Path) -> None:
    flags = (*TINY, "--sampler", "grid", "--out")
    some = command("sweep", *flags, tmp_path / "some", "--vary", "n_codebooks=2,3")
    assert some.exit_code == 0
    assert "Trial 1 failed: token_dim=8 must be a multiple of n_codebooks=3" in some.stdout
    assert "failed and is skipped" in some.stderr
    none = command("sweep", *flags, tmp_path / "none", "--vary", "n_codebooks=3,5")
    assert none.exit_code == 1
    assert "no trial has a result; trial 0: token_dim=8 must be a multiple of n_codebooks=3" in none.stderr


def test_out_of_time_says_how_to_go_on(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparcode.sweep.run.run_sweep", lambda *given, **named: run_sweep(*given, **named | {"max_seconds": 0}))
    result = command("sweep", *TINY, *VARY, "--max-minutes", 5, "--out", tmp_path / "sweep")
    assert result.exit_code == 0, result.stderr
    assert f"Out of time: 9 trials are left; sparcode sweep --resume --out {tmp_path / 'sweep'} goes on" in result.stdout


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["something to vary", "--vary"]),
        (["--vary", "codebook_size"], ["FIELD=VALUE"]),
        (["--vary", "colour=red"], ["colour", "no such setting"]),
        (["--vary", "codebook_size=1,2"], ["codebook_size=1", "at least 2"]),
        (["--vary", "split.seed=1,2"], ["split.seed cannot vary"]),
        (["--vary", "density=0.1..0.5", "--sampler", "grid"], ["a grid needs values or a number of points"]),
        (["--vary", "n_nearest=1,2", "--sampler", "best"], ["sampler=best", "'bayesian', 'random' or 'grid'"]),
        (["--vary", "n_nearest=1,2", "--trials", "0"], ["trials=0", "at least 1"]),
        (["--vary", "n_nearest=1,2", "--pruner", "all"], ["pruner=all"]),
        (["--vary", "n_nearest=1,2", "--max-bytes", "0"], ["max_bytes=0", "at least 1"]),
        (["--vary", "n_nearest=1,2", "--workers", "0"], ["--workers"]),
        (["--vary", "n_nearest=1,2", "--scheduler", "tcp://x:1", "--workers", "2"], ["--workers", "--scheduler"]),
        (["--vary", "n_nearest=1,2", "--data", "nowhere.csv"], ["nowhere.csv"]),
        (["--vary", "n_nearest=1,2", "--codebook-size", "1"], ["codebook_size=1"]),
        (["--resume"], ["is not the folder of a sweep"]),
        (["--resume", "--vary", "n_nearest=1,2", "--trials", "3"], ["--resume", "leave out --vary, the search"]),
        (["--resume", "--seed", "3", "--data", "synthetic"], ["leave out a setting, the data"]),
    ],
)
def test_bad_input_is_one_line_that_names_it(refused: Output, tmp_path: Path, flags: list[str], parts: list[str]) -> None:
    line = refused("sweep", *flags, "--quiet", "--out", tmp_path / "sweep")
    assert all(part in line for part in parts), line
    assert list(tmp_path.iterdir()) == []


def test_cuda_where_there_is_none_is_refused_before_anything(refused: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "use auto or cpu" in refused("sweep", *TINY, *VARY, "--device", "cuda", "--out", tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(refused: Output, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "exists; name a new folder" in refused("sweep", *TINY, *VARY, "--out", tmp_path / "file")
    assert "cannot be written" in refused("sweep", *TINY, *VARY, "--quiet", "--out", tmp_path / "file" / "sweep")
    (tmp_path / "sweep.json").write_text('{"format_version": 7}')
    assert "sweep.json is damaged" in refused("sweep", "--resume", "--out", tmp_path)


def test_ctrl_c_ends_the_processes_too(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    # A shell that starts the tests in the background has them ignore Ctrl-C, and what they start inherits that.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from sparcode.cli import main; main()"
    flags = [*TINY, *VARY, "--workers", "1", "--out", str(folder)]
    with subprocess.Popen([sys.executable, "-c", program, "sweep", *flags], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("trial 0, backbone"):
                break
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGINT)
        told = process.stderr.read()
        assert process.wait() == 130
    assert f"interrupted: sweep was ended; 0 finished trials are kept in {folder}; sparcode sweep --resume --out {folder} goes on" in told
    assert not Path(f"/proc/{worker}").exists()
    assert not (folder / "session").exists()


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in found for child in file.read_text().split() if os.path.exists(f"/proc/{child}")]
