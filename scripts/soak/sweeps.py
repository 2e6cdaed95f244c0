"""A sweep that is killed again and again: no finished trial may be lost or repeated, and the end must be that of one nobody killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from sparcode.runs.store import load_run
from sparcode.sweep.folder import Sweep, load
from sparcode.sweep.record import TRIALS

_COMMAND: Final = (sys.executable, "-c", "from sparcode.cli import main; main()", "sweep", "--quiet", "--json")
# Several workers, or threads, would make other figures each time.
_ALONE: Final = ("--workers", "1", "--threads", "1")
_SETTINGS: Final = (
    *("--synthetic-n-users", "300", "--synthetic-n-items", "200", "--hidden-dim", "32", "--epochs", "6", "--joint-epochs", "4"),
    *("--vary", "codebook_size=4,8,16,32", "--vary", "n_nearest=1..8", "--vary", "dropout=0.1,0.2,0.3,0.4", "--sampler", "random"),
)
# Trials for each kill, so that the sweep outlasts them.
_TRIALS_PER_KILL: Final = 3
# Changes of the trials' files after which the process is killed, at most; a trial makes a dozen.
_MOST_CHANGES: Final = 25
_POLL_SECONDS: Final = 0.0005


def soak(count: int, seed: int = 0) -> dict[str, int]:
    """Kill a sweep `count` times, and let it end; returns counts.

    ``lost``: finished trials that were gone or changed after a kill, or without their run; ``different``: trials that did not end as those
    of a sweep that nobody killed; ``failed``: processes that ended with an error.
    """
    rng, told = np.random.default_rng(seed), {"kills": 0, "lost": 0, "different": 0, "failed": 0}
    with tempfile.TemporaryDirectory() as place:
        whole, folder = Path(place, "whole"), Path(place, "killed")
        settings = (*_SETTINGS, "--trials", str(_TRIALS_PER_KILL * count))
        told["failed"] += _start(whole, *settings).wait() != 0
        before: dict[int, Any] = {}
        while told["kills"] < count:
            more = ("--resume",) if (folder / "sweep.json").exists() else settings
            process = _start(folder, *more)
            _wait_for_changes(process, folder, int(rng.integers(1, _MOST_CHANGES + 1)))
            process.kill()
            # It may have ended just before.
            if process.wait() == 0:
                break
            told["kills"] += 1
            after = _finished(folder)
            told["lost"] += sum(after.get(number) != stamp for number, stamp in before.items())
            before = after
        told["failed"] += _start(folder, "--resume").wait() != 0
        after = _finished(folder)
        told["lost"] += sum(after.get(number) != stamp for number, stamp in before.items())
        told["different"] += _differing(load(folder), load(whole))
    return told


def _start(folder: Path, *flags: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*_COMMAND, *_ALONE, *flags, "--out", str(folder)], stdout=subprocess.DEVNULL)


def _wait_for_changes(process: subprocess.Popen[bytes], folder: Path, n_changes: int) -> None:
    seen = _listing(folder)
    while n_changes and process.poll() is None:
        time.sleep(_POLL_SECONDS)
        if (now := _listing(folder)) != seen:
            seen, n_changes = now, n_changes - 1


def _listing(folder: Path) -> list[tuple[str, int]]:
    """The files of trials, with the times of changes."""
    try:
        return sorted((path.name, path.stat().st_mtime_ns) for path in (folder / TRIALS).iterdir())
    except OSError:  # not there yet, or gone while we looked
        return []


def _finished(folder: Path) -> dict[int, tuple[int, int]]:
    """Number of each finished trial -> when its record and its run were written; a trial that is run again has other times."""
    if not (folder / "sweep.json").exists():
        return {}
    return {
        trial.number: (
            (folder / TRIALS / f"{trial.number:04d}.json").stat().st_mtime_ns,
            (folder / "runs" / trial.run / "run.json").stat().st_mtime_ns if trial.run else 0,
        )
        for trial in load(folder).trials
    }


def _differing(killed: Sweep, whole: Sweep) -> int:
    """Trials that are missing, or have other settings or figures; times are left out."""
    for trial in killed.complete:
        load_run(killed.run_folder(trial.number))
    ours, theirs = ({trial.number: _figures(trial) for trial in sweep.trials} for sweep in (killed, whole))
    return sum(ours.get(number) != theirs.get(number) for number in ours.keys() | theirs.keys())


def _figures(trial: Any) -> tuple[Any, ...]:
    curve = [(point.threshold, point.recall, point.ndcg, point.size_bytes) for point in trial.curve]
    return trial.state, trial.params, trial.epochs, curve, trial.error
