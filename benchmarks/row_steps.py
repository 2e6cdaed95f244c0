"""Epochs over a large catalogue with sampled negatives: Adam steps of all rows of the tables beside steps of the touched rows.

    python -m benchmarks.row_steps --items 200000

Two-tower on made-up histories whose items are drawn by popularity. The epochs alternate; seconds are processor time. The last line
holds the ratio of the median epochs, and the losses after training.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from benchmarks.command import Quick, Seed, print_figures, run_command
from sparcode.config import ModelConfig, TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.model.initialisation import initialise
from sparcode.model.two_tower import TwoTowerModel
from sparcode.runs.machine import machine_facts
from sparcode.training.trainer import Trainer

STEPS = ("all", "touched")


class Size(NamedTuple):
    """Of the made-up data, and of a batch and its negatives."""

    n_users: int = 4_096
    length: int = 25
    batch_size: int = 512
    n_negatives: int = 8_192


def histories(n_items: int, size: Size, seed: int) -> Histories:
    """Every user has as many items, the item of rank r with a weight of 1 / r."""
    rng = np.random.default_rng(seed)
    items = (n_items ** rng.random(size.n_users * size.length)).astype(np.int64) - 1
    users = np.repeat(np.arange(size.n_users), size.length)
    pairs = np.unique(np.stack([users, items.clip(0)]), axis=1)
    return Histories.from_pairs(*pairs, size.n_users, n_items)


def main(
    items: Annotated[int, typer.Option(min=100, help="Items of the catalogue.")] = 200_000,
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    seed: Seed = 0,
    quick: Quick = False,
) -> None:
    """Measure, print a table and the ratio."""
    torch.set_num_threads(1)
    size = Size(256, 10, 64, 128) if quick else Size()
    n_items = min(items, 5_000) if quick else items
    data = histories(n_items, size, seed)
    trainers = {}
    for steps in STEPS:
        model = TwoTowerModel(n_items, ModelConfig(hidden_dim=128, token_dim=128))
        initialise(model, seed)
        settings = {"batch_size": size.batch_size, "n_negatives": size.n_negatives, "teacher_weight": 0, "embedding_steps": steps}
        trainers[steps] = Trainer(model, data, TrainingConfig(**settings, epochs=epochs, seed=seed))
    seconds, losses = {steps: [] for steps in STEPS}, {steps: [] for steps in STEPS}
    for _ in range(epochs):
        for steps, trainer in trainers.items():
            started = time.process_time()
            losses[steps].append(trainer.train_epoch().loss)
            seconds[steps].append(time.process_time() - started)
            print(f"{steps}: {seconds[steps][-1]:.2f} s, loss {losses[steps][-1]:.4f}", file=sys.stderr, flush=True)
    print(f"{n_items:,} items, {len(data):,} users, {size}, {machine_facts()}\n")
    print("| rows that a step moves | median s per epoch | loss, epoch by epoch |\n|---|---|---|")
    for steps in STEPS:
        print(f"| {steps} | {np.median(seconds[steps]):.3f} | {', '.join(f'{loss:.3f}' for loss in losses[steps])} |")
    ratio = float(np.median(seconds["all"]) / np.median(seconds["touched"]))
    print_figures({"epoch_speedup": ratio, **{f"loss_{steps}": losses[steps][-1] for steps in STEPS}})


if __name__ == "__main__":
    run_command(main)
