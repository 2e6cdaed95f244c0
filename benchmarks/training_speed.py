"""One epoch of SparCode's joint training beside a plain PyTorch version of the paper's training step.

    python -m benchmarks.training_speed

Both train the paper's form of the model: hard codes with a straight-through gradient, T = 4, M = 2, K = 64, an mlp of 256-256-256 over the
pair, sampled softmax over shared negatives. The plain one concatenates every (token, item) pair and calls the network once per block of
negatives. Epochs alternate on one thread; seconds are processor time. Peak memory is that of a fresh process each. The last line holds
the ratios, the least favourable where there are several batch sizes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from benchmarks.command import Data, Quick, Seeds, peak_memory_kib, print_figures, run_command
from sparcode.config import ModelConfig, QuantizerConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.data.loading import load
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.machine import machine_facts
from sparcode.training.losses import sampled_softmax_loss
from sparcode.training.trainer import Trainer

NEGATIVE_BLOCK = 64
# A small catalogue, or the plain rendering takes minutes per epoch.
SMALL, QUICK = SyntheticConfig(n_users=2500, n_items=150), SyntheticConfig(n_users=1800, n_items=80)


def paper_settings(batch_size: int, n_negatives: int, seed: int) -> RunConfig:
    """M = 2, K = 64, T = 4, mlp 256-256-256, hard codes, moving averages, no teacher."""
    return RunConfig(
        model=ModelConfig(n_tokens=4, token_dim=64, interaction_dim=256, interaction_layers=3, link="linear"),
        quantizer=QuantizerConfig(n_codebooks=2, codebook_size=64, n_nearest=1, codebook_update="ema", commitment_weight=0.25),
        training=TrainingConfig(
            batch_size=batch_size, n_negatives=n_negatives, teacher_weight=0, dropout=0, weight_decay=0, joint_learning_rate=1e-3, seed=seed
        ),
    )


def start(split_train: Histories, config: RunConfig) -> SparCodeModel:
    """A model whose codebooks were fitted to its untrained tokens."""
    backbone = AllToAllModel(split_train.n_items, config.model)
    initialise(backbone, config.training.seed)
    return SparCodeModel.from_backbone(backbone, config.quantizer, split_train, 0.5, config.training.seed)


class PlainTrainer(Trainer):
    """The same step written plainly: a loop over users to sample, concatenated pairs, one network call per block of negatives."""

    def _shown(self, histories: Histories) -> np.ndarray:
        shown = []
        for row in range(len(histories)):
            share = self._rng.uniform(self.config.keep_least, self.config.keep_most)
            shown.extend(bool(self._rng.random() < share) for _ in histories[row])
        return np.array(shown, dtype=bool)

    def _loss(self, queries: QueryBatch, targets: Histories, histories: Histories) -> tuple[Tensor, Tensor]:
        model, n_negatives = self.model, self.config.n_negatives
        tokens = model.backbone.tokenizer(queries)
        quantized = model.quantizer(tokens.flatten(0, 1))
        distinct, columns = np.unique(targets.items, return_inverse=True)
        negatives = self._rng.integers(targets.n_items, size=n_negatives)
        candidates = torch.from_numpy(np.concatenate([negatives, distinct]).astype(np.int64))
        raw = torch.cat([plain_scores(model, quantized.quantized, block) for block in candidates.split(NEGATIVE_BLOCK)], dim=1)
        logits = F.relu(raw - model.threshold).view(len(targets), -1, len(candidates)).sum(1)
        loss = sampled_softmax_loss(
            logits, torch.from_numpy(targets.rows), torch.from_numpy(columns + n_negatives), n_negatives, targets.n_items
        )
        return loss, model.quantizer.config.commitment_weight * quantized.commit_loss


def plain_scores(model: SparCodeModel, tokens: Tensor, items: Tensor) -> Tensor:
    """(N, C) scores by a network over (N * C, 2 D) concatenated pairs, beside the dot product."""
    network = model.backbone.interaction
    vectors, bias = network.items(items)
    pairs = torch.cat([tokens.repeat_interleave(len(items), 0), vectors.repeat(len(tokens), 1)], dim=1)
    hidden = F.relu(F.linear(pairs, torch.cat([network.token_part.weight, network.item_part.weight], 1), network.token_part.bias))
    for layer in network.deeper:
        hidden = F.relu(layer(hidden))
    return tokens @ vectors.T + bias + (hidden @ network.output).view(len(tokens), len(items))


TRAINERS = {"ours": Trainer, "plain": PlainTrainer}


class Measured(NamedTuple):
    """What the seeds of one batch size gave, by training step."""

    seconds: dict[str, list[float]]
    losses: dict[str, list[float]]
    memory_kib: dict[str, int]

    @property
    def ratios(self) -> dict[str, float]:
        """How much faster ours is than the plain one, and its share of the memory."""
        return {
            "epoch_speedup": float(np.median(self.seconds["plain"]) / np.median(self.seconds["ours"])),
            "peak_memory_ratio": self.memory_kib["ours"] / self.memory_kib["plain"],
        }


def main(
    data: Data = None,
    batch_size: Annotated[list[int] | None, typer.Option(min=8, help="May be repeated; by default 512.")] = None,
    negatives: Annotated[int, typer.Option(min=16)] = 64,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    seeds: Seeds = 3,
    quick: Quick = False,
    memory_of: Annotated[
        str | None, typer.Option(help="Train one epoch of 'ours' or 'plain' and print the peak memory.", hidden=True)
    ] = None,
) -> None:
    """Measure, print the table and the ratios."""
    torch.set_num_threads(1)
    batch_sizes = batch_size or [512]
    if quick:
        negatives, epochs, seeds = 32, 1, 1
    source = generate(QUICK if quick else SMALL) if data is None else load(data)
    train = split_users(source, RunConfig().split).train
    if memory_of is not None:
        _print_peak(memory_of, train, paper_settings(batch_sizes[0], negatives, 0))
        return
    sizes = f"{len(train):,} users, {negatives} shared negatives, {seeds} seeds x {epochs} epochs"
    print(f"{source!r}, {machine_facts()}; {sizes}\n")
    print("| batch | training step | median s per epoch | loss after training, by seed | peak memory beyond the model | speedup |")
    print("|---|---|---|---|---|---|")
    found = []
    for size in batch_sizes:
        memory = {name: _peak(name, data, size, negatives, quick) for name in TRAINERS}
        measured = Measured(*measure(train, [paper_settings(size, negatives, seed) for seed in range(seeds)], epochs), memory)
        found.append(measured.ratios)
        for name in TRAINERS:
            text = ", ".join(f"{loss:.4f}" for loss in measured.losses[name])
            speedup = f"{measured.ratios['epoch_speedup']:.1f}" if name == "ours" else "1"
            row = (size, name, f"{np.median(measured.seconds[name]):.2f}", text, f"{memory[name] / 2**10:.0f} MiB", speedup)
            print(f"| {' | '.join(map(str, row))} |", flush=True)
    speedup, share = (choose(ratios[name] for ratios in found) for name, choose in (("epoch_speedup", min), ("peak_memory_ratio", max)))
    print_figures({"epoch_speedup": speedup, "peak_memory_ratio": share}, 3)


def measure(train: Histories, configs: list[RunConfig], epochs: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Processor seconds of every epoch and the loss after training of every setting, by training step."""
    seconds: dict[str, list[float]] = {name: [] for name in TRAINERS}
    losses: dict[str, list[float]] = {name: [] for name in TRAINERS}
    for config in configs:
        trainers = {name: kind(start(train, config), train, config.training) for name, kind in TRAINERS.items()}
        for _ in range(epochs):
            for name, trainer in trainers.items():
                started = time.process_time()
                record = trainer.train_epoch()
                seconds[name].append(time.process_time() - started)
                print(f"seed {config.training.seed} {name}: {seconds[name][-1]:.2f} s, loss {record.loss:.4f}", file=sys.stderr)
        for name, trainer in trainers.items():
            losses[name].append(_final_loss(trainer))
    return seconds, losses


def _final_loss(trainer: Trainer) -> float:
    """The loss on all users with the same shown parts and negatives for both models, by the plain formula."""
    probe = PlainTrainer(trainer.model, trainer.histories, trainer.config)
    probe.model.eval()
    with torch.no_grad():
        histories = trainer.histories.take(np.arange(min(256, len(trainer.histories))))
        return float(probe._loss(QueryBatch.from_histories(histories.select(probe._shown(histories))), histories, histories)[0])


def _print_peak(name: str, train: Histories, config: RunConfig) -> None:
    trainer = TRAINERS[name](start(train, config), train, config.training)
    print_figures({"kib": peak_memory_kib(trainer.train_epoch)[0]})


def _peak(name: str, data: Path | None, batch_size: int, negatives: int, quick: bool) -> int:
    flags = ["--batch-size", str(batch_size), "--negatives", str(negatives), "--memory-of", name]
    flags += ["--quick"] if quick else [] if data is None else ["--data", str(data)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.training_speed", *flags], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["kib"]


if __name__ == "__main__":
    run_command(main)
