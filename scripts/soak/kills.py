"""Trainings and exports that are killed again and again: none may lose an epoch, and each must end as one that nobody killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import numpy as np
import safetensors
import torch

from app.measured.run_export import run_zip
from sparcode.cli import app
from sparcode.index.whole_folder import reserved_folder
from sparcode.runs.store import Run, load_run
from sparcode.training.checkpoint import stage_files

_SETTINGS: Final = (
    *("--synthetic-n-users", "300", "--synthetic-n-items", "200", "--hidden-dim", "32", "--codebook-size", "16"),
    *("--epochs", "6", "--joint-epochs", "4", "--threads", "1", "--quiet"),
)
# One of so many kills is of an export.
_EXPORTS: Final = 5
# Changes of the file system after which a process is killed, at most: three or so for each epoch, all files of an export.
_MOST_CHANGES: Final = 15
# Then at once, or a moment later.
_DELAYS: Final = (0.0, 0.0, 0.002, 0.05)
_POLL_SECONDS: Final = 0.0005
# Processes begin with these loaded, which takes longer than such a training.
_PROCESSES: Final = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["scripts.soak.kills", "sparcode.comparison.run", "sparcode.comparison.table", "sparcode.commands.progress"]
)


class Kills:
    """Kills and their counts; see `soak`."""

    def __init__(self, place: Path, seed: int) -> None:
        self._rng, self._folder, self._temporary = np.random.default_rng(seed), place / "killed" / "run", place / "temporary"
        self._temporary.mkdir()
        self.told = Counter(dict.fromkeys(("kills", "exports", "ended", "lost", "different", "left_over", "failed"), 0))
        self._whole = trained(place / "whole" / "run")
        self._expected = load_run(self._whole)

    def train(self, kill: bool = True) -> bool:
        """Train on, and kill the training or let it end; whether it was killed."""
        folder, told = self._folder, self.told
        before, had_run = _epochs(folder), folder.exists()
        killed, failed = self._run(_start(_train, folder), folder.parent, kill)
        if killed:
            told["kills"] += 1
            # Fewer epochs than before are right once the run is saved; an earlier run must be there whatever happened.
            told["lost"] += (had_run or _epochs(folder) < before) and not _is_whole(folder, lambda run: True)
        else:
            told["ended"] += 1
            told["failed"] += failed
            told["different"] += not _is_whole(folder, lambda run: same(run, self._expected))
            told["left_over"] += len(os.listdir(folder.parent)) - 1
        return killed

    def export(self) -> None:
        """Kill a process that exports the run again and again; the next export must be whole, and clean up after it."""
        told = self.told
        killed, failed = self._run(_start(_export_on, self._whole, self._temporary), self._temporary, kill=True)
        told["kills"] += killed
        told["exports"] += killed
        told["failed"] += failed
        told["failed"] += _end(_start(_export, self._whole, self._temporary))
        exported = self._temporary / "exported.zip"
        with tempfile.TemporaryDirectory() as place:
            with zipfile.ZipFile(exported) as archive:
                archive.extractall(place)
            told["different"] += not _is_whole(next(Path(place).iterdir()), lambda run: same(run, self._expected))
        exported.unlink()
        told["left_over"] += len(os.listdir(self._temporary))

    def _run(self, process: BaseProcess, watched: Path, kill: bool) -> tuple[bool, bool]:
        """Whether a process was killed, and whether it failed."""
        if kill:
            _wait_for_changes(process, watched, int(self._rng.integers(1, _MOST_CHANGES + 1)))
            time.sleep(self._rng.choice(_DELAYS))
            process.kill()
        status = _end(process)
        return status < 0, status > 0


def soak(count: int, seed: int = 0) -> dict[str, int]:
    """Kill `count` processes; returns counts.

    ``lost``: epochs or whole runs that were gone after a kill; ``different``: runs that did not end as the one without a kill, or were
    exported otherwise; ``left_over``: files beside a run once its training had ended, or after the next export; ``failed``: processes that
    ended with an error; ``exports``: how many of the kills were of exports.
    """
    with tempfile.TemporaryDirectory() as place:
        kills, killed = Kills(Path(place), seed), True
        while kills.told["kills"] < count // _EXPORTS:
            kills.export()
        while kills.told["kills"] < count or killed:
            killed = kills.train(kill=kills.told["kills"] < count)
        return dict(kills.told)


def trained(folder: Path) -> Path:
    """Train a small run to a folder, in a process that nobody kills."""
    if _end(_start(_train, folder)):
        raise RuntimeError("the training that nobody kills ended with an error")
    return folder


def same(run: Run, expected: Run) -> bool:
    """Whether weights, records and index are the same to the bit."""
    weights = expected.model.state_dict()
    records = [repr([record._replace(train_seconds=0) for record in one.records]) for one in (run, expected)]
    return (
        all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())
        and records[0] == records[1]
        and np.array_equal(run.index.codes, expected.index.codes)
        and np.array_equal(run.index.scores, expected.index.scores)
    )


def _train(folder: Path) -> None:
    """Train to a folder, or go on."""
    _be_quiet()
    app(["train", *_SETTINGS, "--resume", "--overwrite", "--out", str(folder)])


def _be_quiet() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)


def _export(folder: Path, temporary: Path) -> None:
    """Export a run as the studio does, with a folder for temporary files."""
    _be_quiet()
    tempfile.tempdir = str(temporary)
    (temporary / "exported.zip").write_bytes(run_zip(load_run(folder)))


def _export_on(folder: Path, temporary: Path) -> None:
    _be_quiet()
    tempfile.tempdir = str(temporary)
    run = load_run(folder)
    while True:
        run_zip(run)


def _start(target: Callable[..., None], *arguments: Path) -> BaseProcess:
    process = _PROCESSES.Process(target=target, args=arguments)
    process.start()
    return process


def _end(process: BaseProcess) -> int:
    process.join()
    return process.exitcode or 0


def _wait_for_changes(process: BaseProcess, folder: Path, n_changes: int) -> None:
    seen = _listing(folder)
    while n_changes and process.is_alive():
        time.sleep(_POLL_SECONDS)
        if (now := _listing(folder)) != seen:
            seen, n_changes = now, n_changes - 1


def _listing(folder: Path) -> list[tuple[str, int]]:
    """Everything in a folder, with the times of changes."""
    try:
        return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))
    except OSError:  # gone while we looked
        return []


def _epochs(folder: Path) -> int:
    """Epochs in the checkpoint of a folder, all stages."""
    n_epochs = 0
    for path in stage_files(reserved_folder(folder)):
        with safetensors.safe_open(path, "pt") as file:
            n_epochs += len(json.loads(file.metadata()["checkpoint"])["values"]["records"])
    return n_epochs


def _is_whole(folder: Path, accepts: Callable[[Run], bool]) -> bool:
    """Whether a folder holds a run that can be read, which repairs it, and is accepted."""
    try:
        return accepts(load_run(folder))
    except ValueError:
        return False
