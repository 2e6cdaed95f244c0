"""Trainings that are killed again and again: none may lose an epoch, and each must end as one that nobody killed.

``python -m scripts.soak_kills --count 100 --seed 0`` kills trainings while they train, write checkpoints and save, goes on with
``--resume`` and prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import safetensors
import torch

from sparcode.index.whole_folder import reserved_folder
from sparcode.runs.store import Run, load_run
from sparcode.training.checkpoint import stage_files

_SETTINGS: Final = (
    *("--synthetic-n-users", "300", "--synthetic-n-items", "200", "--hidden-dim", "32", "--codebook-size", "16"),
    *("--epochs", "6", "--joint-epochs", "4", "--quiet"),
)
# Changes of the file system after which a training is killed, at most: three or so for each epoch.
_MOST_CHANGES: Final = 15
# Then at once, or a moment later.
_DELAYS: Final = (0.0, 0.0, 0.002, 0.05)
_POLL_SECONDS: Final = 0.0005


def soak(count: int, seed: int = 0) -> dict[str, int]:
    """Kill `count` trainings; returns counts.

    ``lost``: epochs or whole runs that were gone after a kill; ``different``: runs that did not end as the training without a kill;
    ``left_over``: files beside a run once its training had ended; ``failed``: trainings that ended with an error.
    """
    rng, told = np.random.default_rng(seed), Counter(dict.fromkeys(("kills", "ended", "lost", "different", "left_over", "failed"), 0))
    with tempfile.TemporaryDirectory() as place:
        whole, folder = Path(place, "whole", "run"), Path(place, "killed", "run")
        _start(whole).communicate()
        expected, killed = load_run(whole), True
        while told["kills"] < count or killed:
            before, had_run = _epochs(folder), folder.exists()
            process = _start(folder)
            if told["kills"] < count:
                _wait_for_changes(process, folder.parent, int(rng.integers(1, _MOST_CHANGES + 1)))
                time.sleep(rng.choice(_DELAYS))
                process.kill()
            process.communicate()
            killed = process.returncode < 0
            if killed:
                told["kills"] += 1
                # Fewer epochs than before are right once the run is saved; an earlier run must be there whatever happened.
                told["lost"] += (had_run or _epochs(folder) < before) and not _is_whole(folder, lambda run: True)
                continue
            told["ended"] += 1
            told["failed"] += process.returncode != 0
            told["different"] += not _is_whole(folder, lambda run: _same(run, expected))
            told["left_over"] += len(os.listdir(folder.parent)) - 1
    return dict(told)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    line = ["train", *_SETTINGS, "--resume", "--overwrite", "--out", str(folder)]
    command = [sys.executable, "-c", "from sparcode.cli import main; main()", *line]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait_for_changes(process: subprocess.Popen[bytes], folder: Path, n_changes: int) -> None:
    seen = _listing(folder)
    while n_changes and process.poll() is None:
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


def _same(run: Run, expected: Run) -> bool:
    """Whether weights, records and index are the same to the bit."""
    weights = expected.model.state_dict()
    records = [repr([record._replace(train_seconds=0) for record in one.records]) for one in (run, expected)]
    return (
        all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())
        and records[0] == records[1]
        and np.array_equal(run.index.codes, expected.index.codes)
        and np.array_equal(run.index.scores, expected.index.scores)
    )


def main() -> None:
    """Run from a terminal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="seed of their moments")
    arguments = parser.parse_args()
    told = soak(arguments.count, arguments.seed)
    print(json.dumps(told))
    sys.exit(1 if told["lost"] or told["different"] or told["left_over"] or told["failed"] else 0)


if __name__ == "__main__":
    main()
