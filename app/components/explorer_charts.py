"""The charts of the Index Explorer for one stage and one threshold."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.charts.code_usage import code_usage_data, code_usage_figure
from app.charts.list_lengths import list_lengths_data, list_lengths_figure
from app.charts.memory_parts import memory_parts_data, memory_parts_figure
from app.charts.recall_size import TradeOff, recall_size_data, recall_size_figure, trade_off
from app.charts.threshold_curve import threshold_curve_data, threshold_curve_figure
from app.charts.training_curve import training_curve_data, training_curve_figure
from app.components.live_chart import live_chart
from app.stage import Stage
from app.studio import Studio
from app.view import View
from sparcode.evaluation import ExplorerPoint
from sparcode.training import EpochRecord


def training_chart(title: str, records: Sequence[EpochRecord]) -> None:
    """Loss, validation recall and perplexity of a training run, live."""
    alt = f"{title}: no epoch yet"
    if records:
        last = records[-1]
        alt = f"{title}: epoch {last.epoch}, validation recall {last.recall:.3f}, started at {records[0].recall:.3f}"
    live_chart(training_curve_figure, training_curve_data(title, records), "chart-training", alt)


def trade_off_charts(view: View, studio: Studio, point: ExplorerPoint) -> None:
    """What the threshold trades: accuracy, and index size. Each a cell of the surrounding grid.

    Parameters
    ----------
    view
        What is shown.
    studio
        For the other settings seen, and the backbone's recall.
    point
        Figures at the slider.
    """
    stage = view.stage
    curve, k = stage.curve, stage.explorer.k
    columns = (curve.tau, curve.density, curve.recall, curve.ndcg)
    now = (point.density, point.recall, point.ndcg)
    backbone = studio.backbones.of(stage.config)
    ceiling = backbone.recall if backbone else None
    live_chart(
        threshold_curve_figure,
        threshold_curve_data(columns, now, ceiling, k),
        "chart-threshold",
        f"Recall and NDCG against the threshold. Now: recall {point.recall:.3f} with {point.density:.1%} of scores kept.",
    )
    this, others = _lines(view, studio)
    current = (point.total_bytes, point.recall) if stage.complete else None
    live_chart(
        recall_size_figure,
        recall_size_data(this, others, current, k),
        "chart-size",
        f"Recall against index size. Now: recall {point.recall:.3f} at {point.total_bytes / 1e6:.2f} MB.",
    )


def index_charts(stage: Stage, point: ExplorerPoint) -> None:
    """What the index is made of: codewords, lists, bytes. Each a cell of the surrounding grid.

    Parameters
    ----------
    stage
        What is shown.
    point
        Figures at the slider.
    """
    usage = stage.usage
    live_chart(
        code_usage_figure,
        code_usage_data(usage.counts, usage.perplexity),
        "chart-usage",
        f"Use of codewords per codebook. Perplexity {', '.join(f'{value:.0f}' for value in usage.perplexity)}.",
    )
    lengths = list_lengths_data(point.list_lengths, stage.explorer.index.n_items)
    live_chart(
        list_lengths_figure,
        lengths,
        "chart-lengths",
        f"Histogram of posting list lengths. The median list has {lengths.median:,.0f} items.",
    )
    parts = memory_parts_data(point.size_bytes if stage.complete else {})
    live_chart(
        memory_parts_figure,
        parts,
        "chart-memory",
        "Memory by part: " + ", ".join(f"{label} {size:.2f} MB" for label, size in zip(parts.labels, parts.megabytes, strict=True)),
    )


def numbers(stage: Stage) -> None:
    """The measured curve as a table, for reading and for export."""
    curve = stage.curve
    table = pd.DataFrame(
        {
            "threshold tau": curve.tau,
            "scores kept (%)": 100 * curve.density,
            f"Recall@{stage.explorer.k}": curve.recall,
            f"NDCG@{stage.explorer.k}": curve.ndcg,
            "index size (MB)": curve.size_bytes / 1e6,
        }
    )
    st.dataframe(table, hide_index=True, alt="Measured figures at every threshold")


def _lines(view: View, studio: Studio) -> tuple[TradeOff, list[TradeOff]]:
    this = _line(view.stage)
    return this, [_line(stage) for stage in studio.seen_stages() if stage.complete and stage is not view.stage]


def _line(stage: Stage) -> TradeOff:
    quantizer = stage.config.quantizer
    label = f"M={quantizer.n_codebooks} K={quantizer.codebook_size} {stage.kind}"
    empty = stage.curve.size_bytes[:0], stage.curve.recall[:0]
    return trade_off(label, *((stage.curve.size_bytes, stage.curve.recall) if stage.complete else empty))
