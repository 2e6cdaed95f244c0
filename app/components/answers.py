"""The four answers of the Index Explorer: recall, latency, index size, code usage."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.stage import Stage, TimedLatency
from sparcode.evaluation import ExplorerPoint
from sparcode.metrics.registry import METRICS


class Cards(NamedTuple):
    """Places for the four answers, so that each can be filled when it is known."""

    recall: DeltaGenerator
    latency: DeltaGenerator
    size: DeltaGenerator
    usage: DeltaGenerator


def cards() -> Cards:
    """Lay the four cards out."""
    with st.grid(4, min_column_width=240):
        return Cards(*(st.container(border=True, height="stretch", gap="xsmall") for _ in range(4)))


def show_recall(card: DeltaGenerator, stage: Stage, point: ExplorerPoint, before: ExplorerPoint | None) -> None:
    """Recall and NDCG; against the preview where there is one.

    Parameters
    ----------
    card
        Where to.
    stage, point
        What is shown.
    before
        The preview at the same stop, for a fine-tuned model.
    """
    k = stage.explorer.k
    change = 0.0 if before is None else round(point.recall - before.recall, 3)
    delta = f"{change:+.3f} against the preview" if change else None
    card.metric(f"Recall@{k} · {stage.kind}", METRICS["recall"].text(point.recall), delta)
    card.caption(f"NDCG@{k} {METRICS['ndcg'].text(point.ndcg)} · {len(stage.explorer.evaluation.queries):,} test users")


def show_size(card: DeltaGenerator, stage: Stage, point: ExplorerPoint) -> None:
    """Bytes of the index at the threshold, once the whole index exists."""
    if not stage.complete:
        card.metric(f"Index size · {stage.kind}", "building ...")
        card.caption(f"{stage.usage.codes_in_use:,} lists to build; recall is exact already")
        return
    card.metric(f"Index size · {stage.kind}", METRICS["size_bytes"].text(point.total_bytes))
    kept = METRICS["density"].text(point.density)
    card.caption(f"{point.kept_postings:,} scores, {kept} of all")


def show_usage(card: DeltaGenerator, stage: Stage) -> None:
    """Codes in use of those possible, perplexity and dead codewords."""
    usage, size = stage.usage, stage.config.quantizer.codebook_size
    card.metric(f"Codes in use · {stage.kind}", f"{usage.codes_in_use:,}")
    possible = f"{usage.possible_codes:,}" if usage.possible_codes < 10**9 else f"{usage.possible_codes:.1e}"
    perplexity = " / ".join(f"{value:.0f}" for value in usage.perplexity)
    dead = METRICS["dead_share"].text(float(usage.dead_share.mean()))
    card.caption(f"of {possible} possible · perplexity {perplexity} of {size} · dead {dead}")


def show_latency(card: DeltaGenerator, stage: Stage, timed: TimedLatency) -> None:
    """Median and 95th percentile of single queries."""
    latency = timed.latency
    card.metric(f"Latency, median · {stage.kind}", METRICS["p50_ms"].text(latency.p50_ms))
    threads = "1 thread" if latency.threads == 1 else f"{latency.threads} threads"
    beside = ", while jobs ran beside it" if timed.busy else ""
    card.caption(f"p95 {METRICS['p95_ms'].text(latency.p95_ms)} · {latency.n_calls} queries, {threads}{beside}")
