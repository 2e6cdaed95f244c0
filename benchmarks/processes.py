"""Training by one process with two threads beside two processes with one thread each.

    python -m benchmarks.processes

Both see the same batches. They take turns; seconds per epoch are wall time without validation, processor seconds those of all threads and
processes from the first step to the last. The last line holds the ratios of the medians, below 1 where two processes are faster, and the
validation recall of both.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.command import Quick, Rounds, outputs, print_figures, run_command
from sparcode.commands.process import launched
from sparcode.config import ModelConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.model.ranks import joined
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import fine_tune, preview, train_backbone

DATA, QUICK_DATA = SyntheticConfig(n_users=6000, n_items=4000), SyntheticConfig(n_users=1500, n_items=1000)
FIGURES = ("backbone", "joint", "processor")


def main(
    rounds: Rounds = 3,
    batch_size: Annotated[int, typer.Option(min=2)] = 512,
    epochs: Annotated[int, typer.Option(min=2, help="Of the backbone, and of joint training.")] = 4,
    quick: Quick = False,
    worker: Annotated[bool, typer.Option("--worker", help="Train as one of the processes and print the figures.", hidden=True)] = False,
) -> None:
    """Measure, print the table and the ratios."""
    if worker:
        _train(batch_size, epochs, quick)
        return
    rounds = 1 if quick else rounds
    config = QUICK_DATA if quick else DATA
    print(f"{config.n_users:,} users, {config.n_items:,} items, batches of {batch_size}, {epochs} + {epochs} epochs, {machine_facts()}\n")
    flags = ["--batch-size", str(batch_size), "--epochs", str(epochs), *(["--quick"] if quick else [])]
    found: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for _ in range(rounds):
        for n in found:
            found[n].append(_run(n, flags))
    print("| processes x threads | backbone, s per epoch | joint, s per epoch | processor s | validation recall |\n|---|---|---|---|---|")
    seconds = {n: {name: float(np.median([run[name] for run in runs])) for name in FIGURES} for n, runs in found.items()}
    for n, runs in found.items():
        cells = " | ".join(f"{seconds[n][name]:.3f}" for name in FIGURES)
        print(f"| {n} x {2 // n} | {cells} | {runs[0]['recall']:.4f} |")
    ratios = {f"{name}_two_over_one": seconds[2][name] / seconds[1][name] for name in FIGURES}
    print_figures({**ratios, "recall_one": found[1][0]["recall"], "recall_two": found[2][0]["recall"]})


def _run(n: int, flags: list[str]) -> dict[str, Any]:
    """Train by n processes; returns what the first one prints, with the processor seconds of all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.processes", "--worker", *flags]
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCH_CPP_LOG_LEVEL": "ERROR"}
    places = [{"RANK": str(rank), "WORLD_SIZE": str(n), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(n)} for rank in range(n)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **address, **place}) for place in places]
    figures = [json.loads(text.splitlines()[-1]) for text in outputs(started, "a process")]
    return {**figures[0], "processor": sum(one["processor"] for one in figures)}


def _train(batch_size: int, epochs: int, quick: bool) -> None:
    place = launched()
    torch.set_num_threads(2 // place.n)
    config = RunConfig(
        model=ModelConfig(token_dim=64), training=TrainingConfig(batch_size=batch_size, epochs=epochs, joint_epochs=epochs, patience=epochs)
    )
    split = split_users(generate(QUICK_DATA if quick else DATA), config.split)
    with joined(place.rank, place.n, torch.device("cpu")):
        started = time.process_time()
        backbone, records = train_backbone(split, config, device="cpu")
        joint = fine_tune(preview(backbone, split, config), split, config)
        processor = time.process_time() - started
    # The first epoch compiles.
    figures = {"backbone": [record.train_seconds for record in records[1:]], "joint": [record.train_seconds for record in joint[2:]]}
    print_figures({**figures, "processor": processor, "recall": max(record.recall for record in joint)})


if __name__ == "__main__":
    run_command(main)
