"""What each remedy of the quantizer contributes: SparCode with one switched off at a time, and with unused options switched on.

    python -m benchmarks.remedies --data ml-100k.zip --seeds 3

A seed sets the split and the training. The backbone is trained once per seed, and again where the negatives change, since it learns from
them too. Recall@50 is that of validation users, scored under the threshold that serving uses; test users are not used. Perplexity, dead
share and codes in use are those of all training queries. The last line holds each variant's mean recall over that of the default.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from benchmarks.command import Data, Quick, Seeds, Threads, print_figures, run_command
from sparcode.config import DEFAULT_K, RunConfig, SyntheticConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.metrics.codes import dead_share, perplexity
from sparcode.metrics.evaluation import accuracy
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import build_run_index, fine_tune, preview, train_backbone
from sparcode.training.trainer import validation_recall

QUICK = SyntheticConfig(n_users=400, n_items=200)
QUICK_TRAINING = {"epochs": 8, "joint_epochs": 3}
DEFAULT, NEAREST_STORED = "all remedies", "no lists for unseen codes"
# Two codebooks, for a residual quantizer has levels.
CODEBOOKS = {"n_codebooks": 2, "codebook_size": 128}
PLAIN = {"n_nearest": 1, "codebook_update": "ema"}
OFF = {**PLAIN, "kmeans_iterations": 0, "revive_below": 0.0}
# Name -> settings that differ from the default, by stage.
VARIANTS: dict[str, dict[str, dict]] = {
    DEFAULT: {},
    "random start": {"quantizer": {"kmeans_iterations": 0}},
    "one nearest code": {"quantizer": {"n_nearest": 1}},
    "no revival": {"quantizer": {"revive_below": 0.0}},
    "EMA codebooks": {"quantizer": {"codebook_update": "ema"}},
    NEAREST_STORED: {"index": {"unseen": "nearest"}},
    "one nearest code and EMA": {"quantizer": PLAIN},
    "all off": {"quantizer": OFF, "index": {"unseen": "nearest"}},
    "residual quantizer": {"quantizer": {"kind": "residual"}},
}
N_NEGATIVES = 100
NEGATIVES = {
    f"{kind} negatives": {"training": {"n_negatives": N_NEGATIVES, "negatives": kind}} for kind in ("uniform", "popularity", "batch")
}


class Figures(NamedTuple):
    """One trained variant, measured.

    Attributes
    ----------
    recall, start
        Mean Recall@50 of validation users, and the same before joint training.
    perplexity, dead_share
        Means over codebooks.
    codes_in_use
        Distinct composite codes of training queries.
    unseen_share
        Share of validation queries' codes that no training query uses.
    """

    recall: float
    start: float
    perplexity: float
    dead_share: float
    codes_in_use: float
    unseen_share: float


def settings(data: Interactions, seed: int, overrides: dict[str, dict], training: dict) -> RunConfig:
    """Default settings for the data with a seed, `CODEBOOKS`, a training budget and a variant's own settings."""
    values = {"split": {"seed": seed}, "quantizer": CODEBOOKS, "training": {"seed": seed} | training}
    for stage, fields in overrides.items():
        values[stage] = values.get(stage, {}) | fields
    return RunConfig.for_data(data.synthetic, RunConfig.model_validate(values))


def recall_of(model: SparCodeModel, split: Split, config: RunConfig) -> float:
    """Validation recall as served; direct scoring gives it where lists are computed for unseen codes."""
    if config.index.unseen == "compute":
        return validation_recall(model, split.validation)
    index = build_run_index(model, split.train, config.index)
    return accuracy(SparseRetriever(model, index, model.threshold, "nearest", n_threads=1), split.validation, DEFAULT_K)[0]


def measure(model: SparCodeModel, start: float, split: Split, config: RunConfig) -> Figures:
    """Figures of a trained model."""
    codes, weights = model.encode(split.train)
    codes, sizes = codes[weights > 0], (config.quantizer.n_codebooks, config.quantizer.codebook_size)
    in_use = np.unique(codes)
    asked = model.encode(split.validation.queries)[0]
    return Figures(
        recall_of(model, split, config),
        start,
        float(perplexity(codes, *sizes).mean()),
        float(dead_share(codes, *sizes).mean()),
        len(in_use),
        float(np.mean(~np.isin(asked, in_use))),
    )


def measure_seed(data: Interactions, seed: int, variants: dict[str, dict], training: dict) -> dict[str, Figures]:
    """Train and measure every variant on one split."""
    default = settings(data, seed, {}, training)
    split = split_users(data, default.split)
    # Variants share a backbone where it learns from the same negatives, and a whole training where only the index differs.
    backbones, trained, results = {}, {}, {}
    for name, overrides in variants.items():
        started = time.perf_counter()
        config = settings(data, seed, overrides, training)
        source = (config.training.n_negatives, config.training.negatives)
        if source not in backbones:
            backbones[source] = train_backbone(split, config)[0]
        without_index = config.model_copy(update={"index": default.index}).content_hash()
        if without_index not in trained:
            model = preview(backbones[source], split, config)
            start = validation_recall(model, split.validation)
            fine_tune(model, split, config)
            trained[without_index] = model, start
        results[name] = measure(*trained[without_index], split, config)
        seconds = time.perf_counter() - started
        print(f"seed {seed}, {name}: {json.dumps(results[name]._asdict())} ({seconds:.0f} s)", file=sys.stderr, flush=True)
    return results


def table(results: dict[str, np.ndarray]) -> list[str]:
    """Markdown: means over seeds, with the standard deviation of recall."""
    lines = [
        "| variant | Recall@50 | over the default | before joint training | perplexity | dead | codes in use | unseen |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in results.items():
        mean = Figures(*rows.mean(0))
        lines.append(
            f"| {name} | {mean.recall:.4f} ± {rows[:, 0].std():.4f} | {ratio(results, name):.3f} | {mean.start:.4f} | "
            f"{mean.perplexity:.0f} | {mean.dead_share:.1%} | {mean.codes_in_use:,.0f} | {mean.unseen_share:.1%} |"
        )
    return lines


def ratio(results: dict[str, np.ndarray], name: str) -> float:
    """A variant's mean recall over the default's."""
    return float(results[name][:, 0].mean() / results[DEFAULT][:, 0].mean())


def main(
    data: Data = None,
    seeds: Seeds = 3,
    negatives: Annotated[bool, typer.Option("--negatives", help="Also train on sampled negatives, backbone included.")] = False,
    threads: Threads = 1,
    quick: Quick = False,
) -> None:
    """Measure, print the table and the ratios."""
    torch.set_num_threads(threads)
    source = generate(QUICK) if quick and data is None else load(data or "synthetic")
    seeds, training = (1, QUICK_TRAINING) if quick else (seeds, {})
    variants = VARIANTS | (NEGATIVES if negatives else {})
    found = [measure_seed(source, seed, variants, training) for seed in range(seeds)]
    results = {name: np.array([figures[name] for figures in found]) for name in variants}
    quantizer = settings(source, 0, {}, training).quantizer
    print(f"{source!r}, {machine_facts()}; M = {quantizer.n_codebooks}, K = {quantizer.codebook_size}, seeds 0 to {seeds - 1}\n")
    print("\n".join(table(results)))
    print_figures({"recall_over_default": {name: ratio(results, name) for name in results}})


if __name__ == "__main__":
    run_command(main)
