"""A ready-made split by the settings recommended for it: SparCode served from its index beside its peers, on the test users.

    python -m benchmarks.fixed_split --train train.parquet --test test.parquet --seeds 3

The same as `sparcode train --train FILE --test FILE`, for several seeds of validation users and training; with `--settings FILE` by that
file's settings instead of recommended ones. Prints a Markdown table of means;
the last line holds SparCode's means, ratios to its peers' means, and the minutes of training and the peak memory of the worst seed, peers
included.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import Quick, Seeds, Settings, merged, peak_memory_kib, print_figures, run_command, settings_of
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.peers import COOCCURRENCE, MODELS, SPARCODE, TWO_TOWER
from sparcode.comparison.run import ComparedRun, compare
from sparcode.config import RunConfig, SyntheticConfig
from sparcode.data.evaluation_protocol import FIXED_SPLIT
from sparcode.data.fixed_split import read_fixed_split
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split
from sparcode.data.synthetic import generate
from sparcode.runs.machine import machine_facts
from sparcode.training.recommended import recommended

K = FIXED_SPLIT.default_k
QUICK = SyntheticConfig(n_users=400, n_items=300)


def quick_files(folder: Path) -> tuple[Path, Path]:
    """Made-up training and test pairs: a fifth of every history is the test."""
    histories = generate(QUICK).histories
    in_test = np.random.default_rng(0).random(len(histories.items)) < 0.2
    files = folder / "train.csv", folder / "test.csv"
    for path, rows in zip(files, (~in_test, in_test), strict=True):
        pairs = "\n".join(f"{user},{item}" for user, item in zip(histories.rows[rows], histories.items[rows], strict=True))
        path.write_text(f"user_id,item_id\n{pairs}\n")
    return files


def measure(data: Interactions, split: Split, config: RunConfig, two_tower_config: RunConfig) -> tuple[ComparedRun, float, float]:
    """The comparison, its minutes, and the GiB that it took at most."""
    started = time.perf_counter()
    kib, compared = peak_memory_kib(lambda: compare(data, config, K, split=split, two_tower_config=two_tower_config))
    return compared, (time.perf_counter() - started) / 60, kib / 2**20


def main(
    train: Annotated[Path | None, typer.Option(help="Training pairs: CSV, TSV or Parquet with user_id and item_id.")] = None,
    test: Annotated[Path | None, typer.Option(help="Test pairs.")] = None,
    seeds: Seeds = 3,
    settings: Settings = None,
    quick: Quick = False,
) -> None:
    """Train, measure, print."""
    keep_freed_memory()
    if not quick and (train is None or test is None):
        raise typer.BadParameter("--train and --test, or --quick")
    tuned = settings_of(settings)
    found, minutes, peaks = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        files = quick_files(Path(folder)) if quick else (train, test)
        for seed in range(1 if quick else seeds):
            training = {"seed": seed} | ({"epochs": 3, "joint_epochs": 2} if quick else {})
            of_run = {"split": {"seed": seed, "protocol": FIXED_SPLIT.name}, "training": training}
            base, of_two_tower = (
                RunConfig.for_data(False, RunConfig.model_validate(merged(*parts, of_run)), FIXED_SPLIT.name)
                for parts in (tuned[:1], tuned)
            )
            data, split = read_fixed_split(*files, base.split)
            config, reason = recommended(split, base, {}) if settings is None else (base, str(settings))
            compared, took, peak = measure(data, split, config, config if settings is None else of_two_tower)
            found.append({row.name: row for row in compared.rows})
            minutes.append(took)
            peaks.append(peak)
            told = ", ".join(f"{row.name} {row.recall:.4f}" for row in compared.rows)
            print(
                f"seed {seed}: {told}; {took:.1f} min, {peak:.1f} GiB; {reason or 'defaults'}",
                compared.left_out,
                file=sys.stderr,
                flush=True,
            )
    print(f"{data!r}, {machine_facts()}; seeds 0 to {len(found) - 1}\n")
    print(f"| model | Recall@{K} | NDCG@{K} | p50 latency | index size | training |\n|---|---|---|---|---|---|")
    names = [peer.name for peer in MODELS if all(peer.name in rows for rows in found)]
    means = {}
    for name in names:
        rows = [one[name] for one in found]
        recall, ndcg = (np.array([getattr(row, metric) for row in rows]) for metric in ("recall", "ndcg"))
        means[name] = (float(recall.mean()), float(ndcg.mean()))
        latency, size, seconds = np.mean([(row.p50_ms.middle, row.size_bytes / 1e6, row.train_seconds) for row in rows], axis=0)
        spread = f"{recall.mean():.4f} ± {recall.std():.4f} | {ndcg.mean():.4f} ± {ndcg.std():.4f}"
        print(f"| {name} | {spread} | {latency:.3f} ms | {size:.1f} MB | {seconds:.0f} s |")
    print_figures(
        {
            "recall_at_20": means[SPARCODE][0],
            "ndcg_at_20": means[SPARCODE][1],
            "recall_vs_two_tower": means[SPARCODE][0] / means[TWO_TOWER][0],
            "recall_vs_cooccurrence": means[SPARCODE][0] / means[COOCCURRENCE][0],
            "train_minutes": max(minutes),
            "peak_gb": max(peaks) * 2**30 / 1e9,
        }
    )


if __name__ == "__main__":
    run_command(main)
