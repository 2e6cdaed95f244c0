"""All measured points as a table, with the best values in words, and as CSV."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.components.data_table import data_table
from app.measured.serving import ServingResult
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.pareto import pareto_front
from sparcode.config import DEFAULT_K
from sparcode.glossary import about_label

_NUMBER = "%.3f"
# Pixels; nothing is cut off on the narrowest supported screen.
_WIDTHS = (150, 165, 90, 85, 100, 130, 80, 105, 310)


def points_table(points: Sequence[Measurement]) -> None:
    """Every point, sortable by any column; it holds the data of both charts."""
    table = table_of(points)
    columns = {
        name: st.column_config.NumberColumn(width=width, format=_NUMBER, help=about_label(name) or None)
        if table[name].dtype.kind == "f"
        else st.column_config.TextColumn(width=width, help=about_label(name) or None)
        for name, width in zip(table.columns, _WIDTHS, strict=False)
    }
    options = {"hide_index": True, "height": "content", "column_config": columns}
    data_table(table, "Every measured setting with its figures", "compare-points", **options)


def table_of(points: Sequence[Measurement]) -> pd.DataFrame:
    """Points as a table for people."""
    remarks = remarks_of(points)
    return pd.DataFrame(
        [
            {
                "way to serve": point.name,
                "setting": point.setting or "-",
                f"Recall@{DEFAULT_K}": point.recall,
                f"NDCG@{DEFAULT_K}": point.ndcg,
                "median (ms)": point.p50_ms.middle,
                "its quartiles (ms)": f"{point.p50_ms.low:.3f} to {point.p50_ms.high:.3f}" if point.n_rounds else "not timed yet",
                "p95 (ms)": point.p95_ms.middle,
                "memory (MB)": point.size_bytes / 1e6,
                "remarks": ", ".join(remarks[point.label]),
            }
            for point in points
        ]
    )


def remarks_of(points: Sequence[Measurement]) -> dict[str, list[str]]:
    """Label of a point -> what it is best at, and the fronts it is on; ties get the remark at every point."""
    remarks: dict[str, list[str]] = {point.label: [] for point in points}
    timed = [point for point in points if point.n_rounds]
    for text, values in (
        ("best recall", {point.label: -point.recall for point in points}),
        ("best NDCG", {point.label: -point.ndcg for point in points}),
        ("fastest median", {point.label: point.p50_ms.middle for point in timed}),
        ("fastest p95", {point.label: point.p95_ms.middle for point in timed}),
        ("least memory", {point.label: float(point.size_bytes) for point in points}),
    ):
        for name, value in values.items():
            if value == min(values.values()):
                remarks[name].append(text)
    fast = {point.label for point in pareto_front(timed, lambda point: point.p50_ms.middle)}
    small = {point.label for point in pareto_front(points, lambda point: point.size_bytes)}
    for name, texts in remarks.items():
        fronts = [text for text, front in (("latency front", fast), ("memory front", small)) if name in front]
        texts += ["both fronts"] if len(fronts) == 2 else fronts
    return remarks


def csv_of(result: ServingResult) -> str:
    """All figures of a measurement, with what they depend on repeated in every row so that copied rows keep it."""
    quantizer = result.config.quantizer
    rows = [
        {
            "retriever": point.name,
            "setting": point.setting,
            f"recall@{DEFAULT_K}": point.recall,
            f"ndcg@{DEFAULT_K}": point.ndcg,
            **{f"{name}_{part}": value for name in ("p50_ms", "p95_ms") for part, value in getattr(point, name)._asdict().items()},
            "size_bytes": point.size_bytes,
            "queries_timed": point.n_timed,
            "rounds": point.n_rounds,
            "other_jobs_beside": point.busy,
            "sparcode_model": f"{result.kind}, M={quantizer.n_codebooks}, K={quantizer.codebook_size}",
            "data": result.data_name,
            "test_users": result.n_queries,
            "seed": result.config.training.seed,
            "machine": result.machine,
            "measured_at": result.measured_at,
        }
        for point in result.points
    ]
    return pd.DataFrame(rows).to_csv(index=False)
