"""Peers at settings, measured on some users: recall and single queries timed in turn; tables and ratios of it."""

from __future__ import annotations

import numpy as np

from benchmarks.pareto_plot import ServedPoint
from sparcode.comparison.interleaved_timing import Timing, interleaved, queries_per_second
from sparcode.comparison.peers import FLAT, HNSW, SPARCODE, PeerAtSetting
from sparcode.config import DEFAULT_K
from sparcode.data.split import EvaluationSet
from sparcode.metrics.ranking import recall_at_k

# Scoring every item by a network takes a thousand times as long: few queries are timed.
SLOW_QUERIES = 10
# Queries of a batch, at most.
BATCH_QUERIES = 1_000


def measure(
    found: list[PeerAtSetting], users: EvaluationSet, n_timed: int, rounds: int, seed: int, k: int = DEFAULT_K
) -> list[ServedPoint]:
    """Recall at k, latency, bytes and batch speed of every peer; exact two-tower search is one of them."""
    order = np.random.default_rng(seed).permutation(len(users.queries))[:n_timed]
    timings: dict[str, Timing] = {}
    for group, rows, times in (
        ([peer for peer in found if not peer.slow], order, rounds),
        ([peer for peer in found if peer.slow], order[:SLOW_QUERIES], 1),
    ):
        if group:
            timings |= interleaved({peer.label: peer.call for peer in group}, users.queries.take(rows), times, seed=seed)
    recalls = [recall_at_k(peer.retriever.retrieve(users.queries, k).item_ids, users.targets, k) for peer in found]
    exact = next(recall for peer, recall in zip(found, recalls, strict=True) if peer.name == FLAT)
    return [_point(peer, timings[peer.label], users, recall, exact) for peer, recall in zip(found, recalls, strict=True)]


def _point(peer: PeerAtSetting, timing: Timing, users: EvaluationSet, recall: np.ndarray, exact: np.ndarray) -> ServedPoint:
    ahead = (recall - exact)[~np.isnan(exact)]
    batch = users.queries.take(np.arange(min(len(users.queries), SLOW_QUERIES if peer.slow else BATCH_QUERIES)))
    return ServedPoint(
        peer.name,
        peer.setting,
        float(np.nanmean(recall)),
        *(timing.total_ms(percentile) for percentile in (50, 95, 99)),
        float("nan") if peer.slow else float(np.median(timing.encode_us)) / 1e3,  # those encode on their way
        float(np.median(timing.retrieve_us)) / 1e3,
        sum(peer.retriever.size_bytes().values()),
        queries_per_second(peer.call, batch, 1 if peer.slow else 3),
        float(ahead.std() / np.sqrt(len(ahead))),
    )


def table(points: list[ServedPoint], k: int = DEFAULT_K) -> list[str]:
    """Markdown rows."""
    lines = [
        f"| retriever | setting | Recall@{k} | error | p50 (ms) | p95 | p99 | encoding p50 | retrieval p50 | MB | queries per s, batch |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for point in points:
        encoding = "-" if np.isnan(point.encode_ms) else f"{point.encode_ms:.3f}"
        lines.append(
            f"| {point.name} | {point.setting} | {point.recall:.4f} | {point.recall_error:.4f} | "
            f"{point.p50_ms:.3f} | {point.p95_ms:.3f} | {point.p99_ms:.3f} | "
            f"{encoding} | {point.retrieve_ms:.3f} | {point.size_bytes / 1e6:.2f} | {point.queries_per_second:,.0f} |"
        )
    return lines


def ratios(best: dict[str, ServedPoint], name: str = SPARCODE) -> dict[str, float]:
    """SparCode's latencies over those of HNSW, and its recall over the exact one."""
    one, hnsw = best[name], best[HNSW]
    return {
        "latency_vs_two_tower_hnsw": round(one.p50_ms / hnsw.p50_ms, 4),
        "p95_vs_two_tower_hnsw": round(one.p95_ms / hnsw.p95_ms, 4),
        "p99_vs_two_tower_hnsw": round(one.p99_ms / hnsw.p99_ms, 4),
        "recall_vs_two_tower": round(one.recall / best[FLAT].recall, 4),
    }
