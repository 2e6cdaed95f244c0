"""Chart of the scores in a query's strongest lists, best first, and the threshold that cuts them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, let_follow
from app.charts.frame import Figure, titled_figure, with_note
from app.theme import series_style, text_colour

TITLE = "Where tau cuts the strongest lists"
# More points than a chart has pixels would be drawn on top of each other.
MOST_POINTS = 200
_DECADES = 50.0


class QueryCut(NamedTuple):
    """One list: its name, and the scores at some of its places, (n,) int64 from 1 and (n,) float64 descending."""

    name: str
    places: np.ndarray
    scores: np.ndarray


class QueryCutsData(NamedTuple):
    """The lists, strongest first, and tau; `is_log` where all scores are above 0."""

    lists: tuple[QueryCut, ...]
    tau: float
    is_log: bool


def query_cut(name: str, scores: np.ndarray) -> QueryCut:
    """A list with (n,) descending scores, at up to `MOST_POINTS` of its places."""
    n = len(scores)
    at = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).astype(np.int64)) if n else np.zeros(0, np.int64)
    return QueryCut(name, at + 1, scores[at].astype(np.float64))


def query_cuts_figure(data: QueryCutsData, dark: bool) -> Figure:
    """A line per list, and one at the threshold: items to the left of where they cross are kept."""
    figure = titled_figure(TITLE, "place in the list, best first", "score E(code, item)", dark)
    drawn = [one for one in data.lists if len(one.places)]
    if not drawn:
        return with_note(figure, "The query has no lists")
    for position, one in enumerate(drawn):
        figure.add_scatter(
            x=one.places.astype(np.float64),
            y=one.scores,
            name=one.name,
            mode="lines",
            line={**series_style(position, dark)["line"], "width": 2.5},
            hovertemplate="place %{x} in the list: score %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    last = float(max(one.places[-1] for one in drawn))
    figure.add_scatter(
        x=np.array([1.0, last]),
        y=np.array([data.tau, data.tau]),
        text=["", "τ"],
        mode="lines+text",
        textposition="top left",
        textfont={"size": 16},
        name="threshold τ",
        line={"color": text_colour(dark), "width": 2, "dash": "4px,3px"},
        hovertemplate="threshold τ = %{y:.4g}<extra></extra>",
    )
    let_follow(figure, y=[Column.TAU, Column.TAU])
    lowest = min(float(one.scores[-1]) for one in drawn)
    highest = max(float(one.scores[0]) for one in drawn)
    figure.x.update(range=[0, 1.02 * last])
    if data.is_log:
        # Only powers of ten are labelled where there are several.
        ticks = {"dtick": 1} if highest > _DECADES * lowest else {}
        figure.y.update(type="log", range=[float(np.log10(lowest)) - 0.05, float(np.log10(highest)) + 0.05], exponentformat="none", **ticks)
    else:
        room = 0.05 * (highest - lowest) or 1.0
        figure.y.update(range=[lowest - room, highest + room])
    figure.layout["showlegend"] = True
    return figure
