"""Histogram of the stored scores with the threshold that cuts them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, let_follow
from app.charts.frame import PINNED, Figure, name_columns, pinned_line, titled_figure, with_note
from app.theme import series_style

TITLE = "Scores and the cut"


class ScoreCutData(NamedTuple):
    """A histogram, edges (n + 1,) float64 ascending and counts (n,) int64, and the threshold.

    `pinned` is the pinned run's threshold; None if there is none, or if it has scores of its own.
    """

    edges: np.ndarray
    counts: np.ndarray
    tau: float
    pinned: float | None


def score_cut_data(edges: np.ndarray, counts: np.ndarray, tau: float, pinned: float | None = None) -> ScoreCutData:
    """Put the parts together; see `ScoreCutData`."""
    return ScoreCutData(np.asarray(edges, dtype=np.float64), np.asarray(counts), float(tau), pinned)


def score_cut_figure(data: ScoreCutData, dark: bool) -> Figure:
    """Bars over the scores; the part to the right of the line stays in the index."""
    figure = titled_figure(TITLE, "score of a code and an item", "scores stored", dark)
    if data.counts.sum() == 0:
        return with_note(figure, "The index has no scores")
    is_log = data.edges[0] > 0
    top, right = 1.08 * float(data.counts.max()), float(max(data.edges[-1], data.tau))
    colour, accent = series_style(0, dark)["line"]["color"], series_style(1, dark)["line"]
    # The area and the line are traces, not shapes, so that they move while the threshold is dragged.
    figure.add_scatter(
        x=np.array([data.tau, right]),
        y=np.array([top, top]),
        mode="none",
        fill="tozeroy",
        fillcolor=_faint(accent["color"]),
        name="kept",
        hoverinfo="skip",
    )
    let_follow(figure, x=[Column.TAU, right])
    centres = np.sqrt(data.edges[:-1] * data.edges[1:]) if is_log else (data.edges[:-1] + data.edges[1:]) / 2
    figure.add_scatter(
        x=centres,
        y=data.counts,
        mode="lines",
        line={"color": colour, "width": 2.5, "shape": "hvh"},
        fill="tozeroy",
        fillcolor=_faint(colour),
        name="scores",
        showlegend=False,
        hovertemplate="%{y:,} scores of about %{x:.3g}<extra></extra>",
    )
    if data.pinned is not None:
        x, y = np.array([data.pinned, data.pinned]), np.array([0, top])
        hover = "pinned: threshold τ %{x:.4g}<extra></extra>"
        figure.add_scatter(x=x, y=y, mode="lines", line=pinned_line(dark), name=PINNED, hovertemplate=hover)
    x, y = np.array([data.tau, data.tau]), np.array([0, top])
    hover = "threshold τ %{x:.4g}<extra></extra>"
    figure.add_scatter(x=x, y=y, mode="lines", line={**accent, "width": 3}, name="threshold τ", hovertemplate=hover)
    let_follow(figure, x=[Column.TAU, Column.TAU])
    figure.x.update(type="log" if is_log else "linear", nticks=6)
    figure.y.update(rangemode="tozero")
    name_columns(figure, x="score (middle of the bin)")
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.2)"
