"""Chart of how many of the K**M codes that M codebooks of K codewords can write are used and stored."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.frame import PINNED, Figure, name_columns, pinned_marker, titled_figure
from app.theme import series_style

TITLE = "Codes: possible, in use, stored"


class CodesStoredData(NamedTuple):
    """M, K, and counts (3,) float64: K**M possible codes, codes that training queries use, lists stored; `pinned` are the pinned run's
    counts.
    """

    n_codebooks: int
    codebook_size: int
    counts: np.ndarray
    pinned: np.ndarray | None


def codes_stored_data(
    n_codebooks: int, codebook_size: int, in_use: int, stored: int, pinned: tuple[int, int, int] | None = None
) -> CodesStoredData:
    """Put the counts together; `pinned` has possible codes, codes in use and lists stored."""
    counts = np.array([float(codebook_size**n_codebooks), in_use, stored])
    return CodesStoredData(n_codebooks, codebook_size, counts, None if pinned is None else np.array(pinned, dtype=np.float64))


def codes_stored_figure(data: CodesStoredData, dark: bool) -> Figure:
    """Three bars on a logarithmic axis, with their numbers."""
    takeaway = f"{_count(data.counts[1])} of {_count(data.counts[0])} possible codes are in use"
    figure = titled_figure(TITLE, "codes (logarithmic)", "", dark, takeaway)
    power = f"{data.codebook_size}<sup>{data.n_codebooks}</sup>" if data.n_codebooks > 1 else str(data.codebook_size)
    labels = [f"{power} possible", "in use", "lists stored"]
    figure.add_bar(
        x=np.maximum(data.counts, 1),
        y=labels,
        orientation="h",
        name="this run",
        text=[_count(value) for value in data.counts],
        textposition="auto",
        marker={"color": [series_style(position, dark)["line"]["color"] for position in (5, 2, 0)]},
        showlegend=False,
        hovertemplate="%{y}: %{text} codes<extra></extra>",
    )
    if data.pinned is not None:
        marker = {**pinned_marker(dark, "line-ns-open"), "size": 22, "line": {"width": 4}}
        hover = "pinned, %{y}: %{x:,} codes<extra></extra>"
        figure.add_scatter(x=data.pinned, y=labels, mode="markers", marker=marker, name=PINNED, hovertemplate=hover)
    figure.x.update(type="log", dtick=max(1, int(np.log10(max(data.counts[0], 10)) // 4)), rangemode="tozero")
    figure.x.update(range=[0, float(np.log10(max(data.counts[0], 10))) * 1.02])
    figure.y.update(autorange="reversed")
    figure.layout.update(bargap=0.35, showlegend=data.pinned is not None)
    name_columns(figure, x="codes", y="which")
    return figure


def _count(value: float) -> str:
    return f"{value:,.0f}" if value < 1e9 else f"{value:.2e}"
