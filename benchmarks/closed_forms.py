"""EASE, item co-occurrence and popularity alone: figures of the peers that need no training, in minutes.

    python -m benchmarks.closed_forms --data ml-1m.zip --seeds 5
    python -m benchmarks.closed_forms --train train.parquet --test test.parquet --model "item co-occurrence"

Splits, depth and test users are those of `benchmarks.quality` or, with --train and --test, of `sparcode train --protocol fixed-split`. A
seed sets the split. Prints a Markdown table of the test users; the last line holds the mean recall of every model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import Data, Quick, Seeds, print_figures, run_command
from benchmarks.quality import QUICK
from sparcode.commands.data_source import DataSource
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.measuring import compare_peers
from sparcode.comparison.peers import COOCCURRENCE, EASE_NAME, POPULARITY, named
from sparcode.comparison.training import Models
from sparcode.config import RunConfig, SplitConfig
from sparcode.data.loading import kind_of, load_split
from sparcode.runs.machine import machine_facts

MODELS = (EASE_NAME, COOCCURRENCE, POPULARITY)


def main(
    data: Data = None,
    train: Annotated[Path | None, typer.Option(help="Training pairs of a ready-made split, with --test and without --data.")] = None,
    test: Annotated[Path | None, typer.Option(help="Its test pairs.")] = None,
    seeds: Seeds = 1,
    model: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(MODELS)}; may be repeated.")] = None,
    quick: Quick = False,
) -> None:
    """Fit, measure, print."""
    keep_freed_memory()
    source = QUICK if quick else DataSource(data and str(data), train, test, {}, {}).source
    protocol, found = kind_of(source).protocol, []
    k = protocol.default_k
    for seed in range(seeds):
        config = SplitConfig(seed=seed, protocol=protocol.name)
        loaded, split = load_split(source, config)
        rows, left_out = compare_peers(named(*(model or MODELS)), Models(split, RunConfig(split=config)), k)
        found.append(rows)
        print(f"seed {seed}: " + ", ".join(f"{row.name} {row.recall:.4f}" for row in rows), left_out or "", file=sys.stderr, flush=True)
    print(f"{loaded!r}, {machine_facts()}; seeds 0 to {seeds - 1}\n")
    print(f"| model | Recall@{k} | NDCG@{k} | Precision@{k} | p50 latency | index size |\n|---|---|---|---|---|---|")
    recalls = {}
    for rows in zip(*found, strict=True):
        figures = np.array([(row.recall, row.ndcg, row.precision) for row in rows])
        recalls[rows[0].name] = float(figures[:, 0].mean())
        cells = " | ".join(f"{mean:.4f} ± {spread:.4f}" for mean, spread in zip(figures.mean(0), figures.std(0), strict=True))
        latency, size = np.mean([(row.p50_ms.middle, row.size_bytes / 1e6) for row in rows], axis=0)
        print(f"| {rows[0].name} | {cells} | {latency:.2f} ms | {size:.2f} MB |")
    print_figures(recalls)


if __name__ == "__main__":
    run_command(main)
