"""From history to items: query encoding and retrieval together, all ways to serve two-tower and SparCode beside each other.

    python -m benchmarks.end_to_end --data ml-1m.zip --settings benchmarks/settings/ml-1m.json --out plots --keep trained

Trains two-tower and, from one backbone, SparCode with several numbers of nearest codes, then serves each with every retriever at many
settings. Recall is measured against the targets. Single queries are timed one by one, the retrievers in turn, and a query's time is the
median over rounds. First all settings are measured on the validation users, and the best of each kind is chosen by that pass alone, recall
and speed alike; then the chosen ones are measured on all test users, where the ratios come from. So neither the luckiest of many settings
nor one that suits the test users has an advantage. The best of a two-tower kind is its fastest setting within 0.1% of the exact
Recall@50; SparCode's is its fastest that is ahead of the exact Recall@50 by at least a standard error of that difference, since a setting
that just reaches it on some users falls short of it on others as often as not. Where no setting gets there, the most accurate one stands
in, and the ratio of recalls tells. Plots, of the validation pass, go to --out.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import faiss
import numpy as np
import torch
import typer

from benchmarks.pareto_plot import write_pareto
from benchmarks.quality import QUICK, settings
from benchmarks.served_point import ServedPoint, fastest, latency
from benchmarks.serving_peers import CSR, DIRECT, FULL_SWEEP, KINDS, QUICK_SWEEP, peers
from benchmarks.trained_models import trained_models
from sparcode.commands.process import keep_freed_memory
from sparcode.comparison.interleaved_timing import Timing, interleaved, queries_per_second
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.serving_peers import ALL_TO_ALL, FLAT, HNSW, IVF_FLAT, IVF_PQ, SPARCODE, K, Peer
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.split import EvaluationSet, Split, split_users
from sparcode.data.synthetic import generate
from sparcode.metrics.ranking import recall_at_k
from sparcode.runs.machine import machine_facts

NEAREST = (1, 2, 4, 8)
# Scoring every item takes a thousand times as long; a few queries say how long.
SLOW, SLOW_QUERIES = (DIRECT, ALL_TO_ALL), 10
WITHIN = 0.999
SMALL = {"quantizer": {"codebook_size": 64}, "training": {"epochs": 12, "joint_epochs": 4}}


def measure(found: list[Peer], users: EvaluationSet, n_timed: int, rounds: int, seed: int) -> list[ServedPoint]:
    """Recall, latency, bytes and batch speed of every peer; exact two-tower search is one of them."""
    order = np.random.default_rng(seed).permutation(len(users.queries))[:n_timed]
    timings: dict[str, Timing] = {}
    for group, rows, times in (
        ([peer for peer in found if peer.kind not in SLOW], order, rounds),
        ([peer for peer in found if peer.kind in SLOW], order[:SLOW_QUERIES], 1),
    ):
        if group:
            timings |= interleaved({peer.name: peer.call for peer in group}, users.queries.take(rows), times, seed=seed)
    recalls = [recall_at_k(peer.retriever.retrieve(users.queries, K).item_ids, users.targets, K) for peer in found]
    exact = next(recall for peer, recall in zip(found, recalls, strict=True) if peer.kind == FLAT)
    return [_point(peer, timings[peer.name], users, recall, exact) for peer, recall in zip(found, recalls, strict=True)]


def _point(peer: Peer, timing: Timing, users: EvaluationSet, recall: np.ndarray, exact: np.ndarray) -> ServedPoint:
    ahead = (recall - exact)[~np.isnan(exact)]
    batch = users.queries.take(np.arange(SLOW_QUERIES)) if peer.kind in SLOW else users.queries
    return ServedPoint(
        peer.kind,
        peer.setting,
        float(np.nanmean(recall)),
        *(timing.total_ms(percentile) for percentile in (50, 95, 99)),
        float("nan") if peer.kind in SLOW else float(np.median(timing.encode_us)) / 1e3,  # those encode on their way
        float(np.median(timing.retrieve_us)) / 1e3,
        sum(peer.retriever.size_bytes().values()),
        queries_per_second(peer.call, batch, 1 if peer.kind in SLOW else 3),
        float(ahead.std() / np.sqrt(len(ahead))),
    )


def best_of_kinds(points: list[ServedPoint]) -> dict[str, ServedPoint]:
    """The setting of every kind that the test users meet, chosen from validation points by the rule at the top of this file."""
    exact = next(point.recall for point in points if point.kind == FLAT)
    best = {kind: fastest(points, kind, WITHIN * exact) for kind in (FLAT, HNSW, IVF_FLAT, IVF_PQ)}
    best[SPARCODE] = fastest(points, SPARCODE, exact, errors=1.0)
    best[CSR] = next(point for point in points if (point.kind, point.setting) == (CSR, best[SPARCODE].setting))
    return best


def table(points: list[ServedPoint]) -> list[str]:
    """Markdown rows."""
    lines = [
        f"| retriever | setting | Recall@{K} | error | p50 (ms) | p95 | p99 | encoding p50 | retrieval p50 | MB | queries per s, batch |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for point in points:
        encoding = "-" if np.isnan(point.encode_ms) else f"{point.encode_ms:.3f}"
        lines.append(
            f"| {point.kind} | {point.setting} | {point.recall:.4f} | {point.recall_error:.4f} | "
            f"{point.p50_ms:.3f} | {point.p95_ms:.3f} | {point.p99_ms:.3f} | "
            f"{encoding} | {point.retrieve_ms:.3f} | {point.size_bytes / 1e6:.2f} | {point.queries_per_second:,.0f} |"
        )
    return lines


def ratios(best: dict[str, ServedPoint]) -> dict[str, float]:
    """SparCode's latency over that of HNSW, and its recall over the exact one."""
    return {
        "latency_vs_two_tower_hnsw": round(best[SPARCODE].p50_ms / best[HNSW].p50_ms, 4),
        "recall_vs_two_tower": round(best[SPARCODE].recall / best[FLAT].recall, 4),
    }


def main(
    data: Annotated[Path | None, typer.Option(help="MovieLens archive or table; without it the built-in data.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the trainings and the order of timed queries.")] = 0,
    threads: Annotated[list[int] | None, typer.Option(min=1, help="May be repeated; by default 1. The ratios are the first one's.")] = None,
    encoder: Annotated[str, typer.Option(help="mean, gru or sasrec.")] = "mean",
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="Settings per encoder, as in benchmarks/settings: of all models, and of two-tower.")
    ] = None,
    nearest: Annotated[
        list[int] | None, typer.Option(min=1, help="Nearest codes per token; may be repeated, by default 1, 2, 4, 8.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder for trained models; what it holds is not trained again.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the plots and all points as JSON.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each query is timed; three times as often on test users.")] = 3,
    timed: Annotated[int, typer.Option(min=1, help="Validation queries timed of each setting.")] = 200,
    quick: Annotated[bool, typer.Option("--quick", help="A small built-in data set and few settings: under 50 s.")] = False,
) -> None:
    """Train or load, measure, print tables and ratios, draw."""
    source = generate(QUICK) if quick else load(data)
    tuned = {} if settings_file is None else json.loads(settings_file.read_text()).get(encoder, {})
    of_all, of_two_tower = (tuned.get(models, {}) for models in ("all", "two_tower"))
    extra = SMALL if quick else {}
    config = settings(source, encoder, None, seed, of_all, extra)
    two_tower_config = settings(source, encoder, None, seed, of_all, of_two_tower, extra)
    split = split_users(source, config.split)
    chosen = tuple(nearest or ((1, 4) if quick else NEAREST))
    models = trained_models(
        split, config, two_tower_config, chosen, None if keep is None else lambda name: keep / f"{source.content_hash()}-{name}.safetensors"
    )
    headline: dict[str, float] | None = None
    for n_threads in threads or [1]:
        torch.set_num_threads(n_threads)
        faiss.omp_set_num_threads(n_threads)
        found = peers(models, split, config, QUICK_SWEEP if quick else FULL_SWEEP, n_threads)
        print(f"{source!r}, {machine_facts()}; encoder {encoder}, seed {seed}")
        print(f"{len(split.validation.users)} validation users, {len(split.test.users)} test users\n")
        points, best = chosen_and_tested(found, split, timed, rounds, seed)
        headline = headline or ratios(best)
        if out is not None:
            _write(points, source, config, out / f"threads-{n_threads}")
    print(json.dumps(headline))


def chosen_and_tested(
    found: list[Peer], split: Split, timed: int, rounds: int, seed: int
) -> tuple[list[ServedPoint], dict[str, ServedPoint]]:
    """All settings on validation users, printed as far as nothing of their kind beats them; then the chosen of each kind on test users."""
    points = measure(found, split.validation, timed, rounds, seed)
    fronts = [point for kind in KINDS for point in pareto_front((one for one in points if one.kind == kind), latency)]
    print("Validation users, all settings that no other of their kind beats:\n\n" + "\n".join(table(fronts)) + "\n")
    best = best_of_kinds(points)
    wanted = {(point.kind, point.setting) for point in best.values()}
    print("Chosen on validation users:\n\n" + "\n".join(table(list(best.values()))) + "\n", flush=True)
    chosen = [peer for peer in found if (peer.kind, peer.setting) in wanted]
    tested = measure(chosen, split.test, len(split.test.queries), 3 * rounds, seed + 1)
    print("The same on all test users:\n\n" + "\n".join(table(tested)) + "\n")
    return points, {point.kind: point for point in tested}


def _write(points: list[ServedPoint], source: Interactions, config: RunConfig, folder: Path) -> None:
    title = f"{source.name}, {source.n_items:,} items, encoder {config.model.encoder}<br>{machine_facts()}"
    page, picture = write_pareto(points, title, folder, K)
    (folder / "points.json").write_text(json.dumps([point._asdict() for point in points], indent=1))
    note = "the picture is left out, for there is no Chromium or no Playwright" if picture is None else str(picture)
    print(f"plots: {page}, {note}", file=sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    typer.run(main)
