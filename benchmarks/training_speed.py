"""One epoch of SparCode's joint training beside a plain PyTorch rendering of the paper's training step, in one run.

    python -m benchmarks.training_speed

Both train the paper's form of the model: hard codes with a straight-through gradient, T = 4, M = 2, K = 64, an mlp of 256-256-256 over the
pair, sampled softmax over shared negatives. The plain one concatenates every (token, item) pair and calls the network once per block of
negatives. Epochs alternate; peak memory is that of a fresh process each. The last line holds the ratios.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from sparcode.config import ModelConfig, QuantizerConfig, RunConfig, SyntheticConfig, TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.data.loading import load
from sparcode.data.split import split_users
from sparcode.data.synthetic import generate
from sparcode.losses import sampled_softmax_loss
from sparcode.machine import machine_facts
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training import Trainer

NEGATIVE_BLOCK = 64
# A small catalogue, or the plain rendering takes minutes per epoch; the batch holds all users, since it is batches that repeat codes.
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


def main(
    data: Annotated[Path | None, typer.Option(help="MovieLens archive or table; without it a small made-up catalogue.")] = None,
    batch_size: Annotated[int, typer.Option(min=8)] = 2048,
    negatives: Annotated[int, typer.Option(min=16)] = 64,
    epochs: Annotated[int, typer.Option(min=1)] = 1,
    seeds: Annotated[int, typer.Option(min=1)] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller catalogue, one seed: under 50 s.")] = False,
    memory_of: Annotated[
        str | None, typer.Option(help="Train one epoch of 'ours' or 'plain' and print the peak memory.", hidden=True)
    ] = None,
) -> None:
    """Measure, print the table and the ratios."""
    if quick:
        batch_size, negatives, epochs, seeds = 2048, 32, 1, 1
    source = generate(QUICK if quick else SMALL) if data is None else load(data)
    train = split_users(source, RunConfig().split).train
    if memory_of is not None:
        config = paper_settings(batch_size, negatives, 0)
        trainer = TRAINERS[memory_of](start(train, config), train, config.training)
        # Forget the peak of everything before (Linux), so that only the epoch counts.
        Path("/proc/self/clear_refs").write_text("5")
        before = _memory_kib("VmRSS")
        trainer.train_epoch()
        print(json.dumps({"kib": _memory_kib("VmHWM") - before}))
        return
    seconds: dict[str, list[float]] = {name: [] for name in TRAINERS}
    losses: dict[str, list[float]] = {name: [] for name in TRAINERS}
    for seed in range(seeds):
        config = paper_settings(batch_size, negatives, seed)
        trainers = {name: kind(start(train, config), train, config.training) for name, kind in TRAINERS.items()}
        for _ in range(epochs):
            for name, trainer in trainers.items():
                record = trainer.train_epoch()
                seconds[name].append(record.train_seconds)
                print(f"seed {seed} epoch {record.epoch} {name}: {record.train_seconds:.2f} s, loss {record.loss:.4f}", file=sys.stderr)
        for name, trainer in trainers.items():
            losses[name].append(_final_loss(trainer))
    memory = {name: _peak(name, data, batch_size, negatives, quick) for name in TRAINERS}
    sizes = f"{len(train):,} users, batch {batch_size}, {negatives} shared negatives, {seeds} seeds x {epochs} epochs"
    print(f"{source!r}, {machine_facts()}; {sizes}\n")
    print("| training step | median s per epoch | loss after training, by seed | peak memory beyond the model |\n|---|---|---|---|")
    for name in TRAINERS:
        text = ", ".join(f"{loss:.4f}" for loss in losses[name])
        print(f"| {name} | {np.median(seconds[name]):.2f} | {text} | {memory[name] / 2**10:.0f} MiB |")
    ratios = {
        "epoch_speedup": np.median(seconds["plain"]) / np.median(seconds["ours"]),
        "peak_memory_ratio": memory["ours"] / memory["plain"],
    }
    print("\n" + json.dumps({name: round(float(value), 3) for name, value in ratios.items()}))


def _final_loss(trainer: Trainer) -> float:
    """The loss on all users with the same shown parts and negatives for both models, by the plain formula."""
    probe = PlainTrainer(trainer.model, trainer.histories, trainer.config)
    probe.model.eval()
    with torch.no_grad():
        histories = trainer.histories.take(np.arange(min(256, len(trainer.histories))))
        return float(probe._loss(QueryBatch.from_histories(histories.select(probe._shown(histories))), histories, histories)[0])


def _memory_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def _peak(name: str, data: Path | None, batch_size: int, negatives: int, quick: bool) -> int:
    flags = ["--batch-size", str(batch_size), "--negatives", str(negatives), "--memory-of", name]
    flags += ["--quick"] if quick else [] if data is None else ["--data", str(data)]
    done = subprocess.run([sys.executable, "-m", "benchmarks.training_speed", *flags], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["kib"]


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    typer.run(main)
