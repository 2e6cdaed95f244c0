from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from sparcode.commands.process import Launched, launched
from sparcode.model.ranks import ALONE, current, joined
from sparcode.runs.store import load_run
from sparcode.training.pipeline import train_sparcode
from tests.tiny import tiny_split
from tests.training import ranks_worker
from tests.training.ranks_worker import ONE_EPOCH, quality_config, trained

Weights = dict[str, np.ndarray]


class Process(NamedTuple):
    """What one of two processes ended with."""

    arrays: Weights
    facts: dict[str, Any]

    def of(self, kind: str) -> Weights:
        """Weights of one training."""
        return {name.partition("/")[2]: value for name, value in self.arrays.items() if name.startswith(f"{kind}/")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def processes(folder: Path) -> tuple[Process, Process]:
    """Two processes that torchrun started, after all of their trainings."""
    sockets = [socket.socket() for _ in range(5)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    start = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-addr",
        "127.0.0.1",
        "--master-port",
        ports[0],
    ]
    command = [*start, "-m", ranks_worker.__name__, str(folder), *ports[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return tuple(Process(dict(np.load(folder / f"{rank}.npz")), json.loads((folder / f"{rank}.json").read_text())) for rank in (0, 1))


@pytest.mark.parametrize("kind", [*ONE_EPOCH, "joint", "whole", "resumed"])
def test_both_processes_hold_the_same_weights_and_codebooks_bit_for_bit(processes: tuple[Process, Process], kind: str) -> None:
    first, second = (process.of(kind) for process in processes)
    assert first.keys() == second.keys() != set()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("kind", ONE_EPOCH)
def test_two_halves_of_a_batch_teach_what_the_whole_one_does(processes: tuple[Process, Process], kind: str) -> None:
    for name, value in ranks_worker.weights(trained(ONE_EPOCH[kind]).model).items():
        np.testing.assert_allclose(processes[0].of(kind)[name], value, atol=2e-4, err_msg=name)


def test_codewords_follow_the_tokens_of_both_and_dead_ones_are_re_seeded_alike(processes: tuple[Process, Process]) -> None:
    first, second = (process.facts for process in processes)
    assert first["revived"] == second["revived"] > 0
    assert first["recall"] == second["recall"]


def test_recall_is_that_of_one_process_but_for_what_a_seed_changes(processes: tuple[Process, Process]) -> None:
    alone = [max(record.recall for record in train_sparcode(tiny_split(), quality_config(seed))[2]) for seed in range(3)]
    spread = max(alone) - min(alone)
    assert min(alone) - spread <= processes[0].facts["quality"] <= max(alone) + spread


def test_a_training_stopped_by_one_process_goes_on_in_both_as_if_it_had_not(processes: tuple[Process, Process]) -> None:
    whole, resumed = processes[0].of("whole"), processes[0].of("resumed")
    for name, value in whole.items():
        assert value.tobytes() == resumed[name].tobytes(), name


def test_the_first_process_alone_prints_and_keeps_the_run(processes: tuple[Process, Process], folder: Path) -> None:
    code, printed, said = processes[0].facts["command"]
    assert (code, said) == (0, "")
    assert json.loads(printed)["saved_to"] == str(folder / "run")
    assert "2 processes" in json.loads(printed)["machine"]
    assert load_run(folder / "run").model.n_items == 80
    assert processes[1].facts["command"] == [0, "", ""]


def test_an_error_in_one_process_ends_both_and_is_named(processes: tuple[Process, Process]) -> None:
    (code, printed, said), (other_code, other_printed, other_said) = (process.facts["failed"] for process in processes)
    assert (code, other_code, printed, other_printed) == (1, 1, "", "")
    assert other_said == "process 1 of 0 to 1: error: the fifth batch is on fire\n"
    last = said.splitlines()[-1]
    assert last.startswith("error: another process of this training has ended; its own message says why; add --resume to go on with")


def test_processes_that_read_other_data_are_refused(processes: tuple[Process, Process]) -> None:
    code, _, said = processes[1].facts["other data"]
    assert code == 2
    assert "this process read other data than the first one" in said
    assert processes[0].facts["other data"][0] == 1


def test_processes_with_other_settings_are_refused(processes: tuple[Process, Process]) -> None:
    code, _, said = processes[1].facts["other settings"]
    assert code == 2
    assert "this process has other settings than the first one" in said
    assert processes[0].facts["other settings"][0] == 1


def test_fewer_users_than_processes_are_refused(processes: tuple[Process, Process]) -> None:
    assert processes[0].facts["refused"] == "2 processes need at least as many users to train on; the data has 1"


def test_alone_nothing_is_joined() -> None:
    with joined(0, 1, torch.device("cpu")) as ranks:
        assert ranks is current() is ALONE
    assert ALONE.share(7) == slice(0, 7)
    assert ALONE.weight(7) == 1


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="2 processes for 1 GPUs"), joined(0, 2, torch.device("cuda"), 0, 2):
        pass
    assert current() is ALONE


def test_the_place_of_a_process_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    assert launched() == Launched(0, 1, 0, 1)
    for name, value in zip(names, ("3", "4", "1", "2"), strict=True):
        monkeypatch.setenv(name, value)
    assert launched() == Launched(3, 4, 1, 2)
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(ValueError, match="RANK=4, WORLD_SIZE=4"):
        launched()
