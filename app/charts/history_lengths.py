"""Histogram of how long users' histories are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.frame import Figure, titled_figure
from app.theme import series_style

TITLE = "Lengths of histories"


class HistoryLengthsData(NamedTuple):
    """Users by length of history: a label and a number for each bin; the title is the takeaway."""

    title: str
    labels: tuple[str, ...]
    counts: np.ndarray


def history_lengths_data(edges: np.ndarray, counts: np.ndarray, median: float) -> HistoryLengthsData:
    """From (n + 1,) and (n,) int64 edges and counts, see `sparcode.data.profile.Profile`; without empty bins in front."""
    first = int(np.flatnonzero(counts)[0])
    spans = zip(edges[first:-1].tolist(), (edges[first + 1 :] - 1).tolist(), strict=True)
    labels = tuple(f"{low:,}" if low == high else f"{low:,} to {high:,}" for low, high in spans)
    return HistoryLengthsData(f"Half of the users have at most {median:,.0f} items", labels, counts[first:])


def history_lengths_figure(data: HistoryLengthsData, dark: bool) -> Figure:
    """Bars of users over the number of items in their histories."""
    figure = titled_figure(TITLE, "items in a history", "users", dark, data.title)
    figure.add_bar(
        x=list(data.labels),
        y=data.counts,
        marker={"color": series_style(0, dark)["line"]["color"]},
        showlegend=False,
        hovertemplate="%{x} items: %{y:,} users<extra></extra>",
    )
    figure.x.update(type="category")
    figure.y.update(rangemode="tozero")
    figure.layout.update(bargap=0.08)
    return figure
