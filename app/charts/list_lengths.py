"""Histogram of posting list lengths at the current threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, let_follow
from app.charts.frame import PINNED, Figure, name_columns, pinned_line, titled_figure, with_note
from app.measured.curve import count_lengths
from app.theme import series_style

TITLE = "Length of posting lists"


class ListLengthsData(NamedTuple):
    """A histogram: centres (n_bins,) float64 postings, counts (n_bins,) int64 lists; bin width and median in postings.

    The median is NaN without lists. `pinned` are the counts of the pinned run's index, None if there is none.
    """

    centres: np.ndarray
    counts: np.ndarray
    width: float
    median: float
    pinned: np.ndarray | None = None


def list_lengths_data(lengths: np.ndarray, n_items: int) -> ListLengthsData:
    """Count lists by length, (n_lists,) integers of at most `n_items`, in bins that do not depend on the threshold."""
    return ListLengthsData(*count_lengths(lengths, n_items))


def list_lengths_figure(data: ListLengthsData, dark: bool) -> Figure:
    """Bars over the number of items in a list, with the median marked."""
    figure = titled_figure(TITLE, "items in a list", "lists", dark)
    if data.counts.sum() == 0:
        return with_note(figure, "The index has no lists")
    if data.pinned is not None:
        look = {**pinned_line(dark), "shape": "hvh"}
        hover = "pinned: about %{x:.0f} items: %{y:,} lists<extra></extra>"
        figure.add_scatter(x=data.centres, y=data.pinned, name=PINNED, mode="lines", line=look, hovertemplate=hover)
    colour = series_style(0, dark)["line"]["color"]
    figure.add_bar(
        x=data.centres,
        y=data.counts,
        width=data.width,
        name="this run",
        marker={"color": colour},
        showlegend=False,
        hovertemplate="about %{x:.0f} items: %{y:,} lists<extra></extra>",
    )
    let_follow(figure, y=Column.LENGTHS)
    # A trace, not a shape: it moves with the bars while the threshold is dragged, and makes room for its label above them.
    figure.add_scatter(
        x=np.array([data.median, data.median]),
        y=np.array([0, median_top(data.counts)]),
        text=["", median_text(data.median)],
        mode="lines+text",
        textposition="middle right" if data.median < data.centres[len(data.centres) // 2] else "middle left",
        line=series_style(1, dark)["line"],
        showlegend=False,
        hoverinfo="skip",
    )
    let_follow(figure, x=[Column.MEDIAN, Column.MEDIAN], y=[0, Column.MEDIAN_TOP], text=["", Column.MEDIAN_TEXT])
    figure.y.update(rangemode="tozero")
    figure.x.update(range=[0, float(data.centres[-1] + data.width / 2)])
    figure.layout.update(showlegend=data.pinned is not None, bargap=0.05)
    name_columns(figure, x="items in a list (middle of the bin)", y="lists")
    return figure


def median_top(counts: np.ndarray) -> float:
    """Upper end of the median's line, above the highest bar."""
    return 1.12 * float(counts.max())


def median_text(median: float) -> str:
    """The label of the median's line."""
    return f"median {median:,.0f}"
