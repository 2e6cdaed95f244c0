"""Charts of an index's scores, lists, bytes and codes, and the numbers behind all charts as tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.charts.code_usage import code_usage_data, code_usage_figure
from app.charts.codes_stored import codes_stored_data, codes_stored_figure
from app.charts.list_lengths import list_lengths_data, list_lengths_figure
from app.charts.memory_parts import memory_parts_data, memory_parts_figure
from app.charts.score_cut import score_cut_data, score_cut_figure
from app.components.data_table import data_table
from app.components.live_chart import live_chart
from app.measured.measured_index import MeasuredIndex
from app.session.run_history import PinnedRun
from sparcode.metrics.evaluation import ExplorerPoint
from sparcode.training.epoch_record import EpochRecord


def threshold_charts(measured: MeasuredIndex, point: ExplorerPoint, pinned: PinnedRun | None) -> None:
    """Scores, list lengths and bytes at the threshold, each in a cell of the surrounding grid."""
    there = pinned.point.tau if pinned is not None and pinned.measured is measured else None
    live_chart(
        score_cut_figure,
        score_cut_data(measured.scores.edges, measured.scores.counts, point.tau, there),
        "chart-scores",
        f"Histogram of the stored scores, cut at tau = {point.tau:.4g}: {point.kept_postings:,} scores stay.",
    )
    n_items = measured.explorer.index.n_items
    lengths = list_lengths_data(point.list_lengths, n_items)
    if pinned is not None:
        lengths = lengths._replace(pinned=list_lengths_data(pinned.point.list_lengths, n_items).counts)
    live_chart(
        list_lengths_figure,
        lengths,
        "chart-lengths",
        f"Histogram of posting list lengths. The median list has {lengths.median:,.0f} items.",
    )
    parts = memory_parts_data(point.size_bytes if measured.complete else {}, None if pinned is None else pinned.point.size_bytes)
    live_chart(
        memory_parts_figure,
        parts,
        "chart-memory",
        "Memory by part: " + ", ".join(f"{label} {size:.2f} MB" for label, size in zip(parts.labels, parts.megabytes, strict=True)),
    )


def code_charts(measured: MeasuredIndex, pinned: PinnedRun | None) -> None:
    """Numbers of possible and used codes, and how evenly codewords are used, each in a cell of the surrounding grid."""
    usage, quantizer = measured.usage, measured.config.quantizer
    other = pinned.measured.usage if pinned is not None and pinned.measured is not measured else None
    ghost = None if other is None else (other.possible_codes, other.codes_in_use, other.n_lists)
    live_chart(
        codes_stored_figure,
        codes_stored_data(quantizer.n_codebooks, quantizer.codebook_size, usage.codes_in_use, usage.n_lists, ghost),
        "chart-codes",
        f"Of {usage.possible_codes:,} possible codes {usage.codes_in_use:,} are in use and {usage.n_lists:,} have a stored list.",
    )
    live_chart(
        code_usage_figure,
        code_usage_data(usage.counts, usage.perplexity, None if other is None else other.counts),
        "chart-usage",
        f"Use of codewords per codebook. Perplexity {', '.join(f'{value:.0f}' for value in usage.perplexity)}.",
    )


def numbers(measured: MeasuredIndex, point: ExplorerPoint, records: Sequence[EpochRecord]) -> None:
    """Tables of all that the charts show of this index, for reading and for export."""
    curve, timed = measured.curve, measured.latencies()
    known = [timed.get(stop) for stop in curve.stops.tolist()]
    tabs = st.tabs(["Thresholds", "Scores", "Codewords", "Lists", "Memory", "Training"])
    table = pd.DataFrame(
        {
            "threshold tau": curve.tau,
            "scores kept (%)": 100 * curve.density,
            f"Recall@{measured.explorer.k}": curve.recall,
            f"NDCG@{measured.explorer.k}": curve.ndcg,
            "index size (MB)": curve.size_bytes / 1e6,
            "scores in the index": curve.postings,
            "items in the median list": curve.median_length,
            "median (ms)": [None if one is None else one.latency.p50_ms for one in known],
            "p95 (ms)": [None if one is None else one.latency.p95_ms for one in known],
            "timed": ["" if one is None else "beside jobs" if one.busy else "alone" for one in known],
        }
    )
    bins = {"from": measured.scores.edges[:-1], "to": measured.scores.edges[1:], "scores": measured.scores.counts}
    uses = pd.DataFrame({f"codebook {book + 1}": row for book, row in enumerate(measured.usage.counts)}).rename_axis("codeword")
    lengths = pd.DataFrame({"code": measured.explorer.index.codes, "items in its list": point.list_lengths})
    usage, parts = measured.usage, point.size_bytes if measured.complete else {}
    memory = pd.DataFrame({"part": [part.replace("_", " ") for part in parts], "MB": [size / 1e6 for size in parts.values()]})
    epochs = pd.DataFrame([record._asdict() for record in records], columns=EpochRecord._fields).drop(columns="stopped")
    tables = (
        ("Measured figures at every threshold; latency where it was timed", table),
        ("Stored scores by value", pd.DataFrame(bins)),
        ("How often training queries use each codeword", uses),
        ("Length of every posting list at this threshold", lengths),
        ("Memory of the index by part at this threshold", memory),
        ("Loss, recall and use of codes after every epoch of fine-tuning", epochs),
    )
    for number, (tab, (said, shown)) in enumerate(zip(tabs, tables, strict=True)):
        with tab:
            data_table(shown, said, f"explorer-numbers-{number}", hide_index=shown is not uses)
    tabs[4].caption(f"{usage.possible_codes:,} codes are possible, {usage.codes_in_use:,} are in use, {usage.n_lists:,} have a list.")
