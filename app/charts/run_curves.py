"""Chart of recall over index size, or over latency, of several runs: a line per run, a point per threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, log_axis, name_columns, titled_figure, with_note
from app.kept.run_figures import RunFigures
from app.kept.run_words import run_label
from app.theme import series_style, text_colour
from sparcode.config import DEFAULT_K

SIZE_TITLE: Final = "Recall against index size, run by run"
LATENCY_TITLE: Final = "Recall against latency, run by run"
# Share of the best recall below which points are not shown at first; they would flatten the rest.
SHOWN_RECALL: Final = 0.75
# Of the best recall, what a cheaper point must reach to be named in the title.
ENOUGH: Final = 0.99


class RunLine(NamedTuple):
    """A run's label, cost and recall at n thresholds, (n,) float64, and the place of its own threshold among them."""

    label: str
    cost: np.ndarray
    recall: np.ndarray
    own: int


class RunCurvesData(NamedTuple):
    """Lines of runs; costs are in `unit`, `axis` names them, `superlative` says what the lowest is."""

    title: str
    axis: str
    unit: str
    superlative: str
    lines: tuple[RunLine, ...]


def size_curves(runs: Sequence[RunFigures]) -> RunCurvesData:
    """Megabytes of the index."""
    lines = tuple(RunLine(run_label(run.facts.name), run.size_bytes / 1e6, run.recall, run.own) for run in runs)
    return RunCurvesData(SIZE_TITLE, "index size (MB)", "MB", "smallest", lines)


def latency_curves(runs: Sequence[RunFigures]) -> RunCurvesData:
    """Median milliseconds of a query, at the timed thresholds alone."""
    lines = []
    for run in runs:
        timed = np.flatnonzero(~np.isnan(run.p50_ms))
        own = int(np.searchsorted(timed, run.own))
        lines.append(RunLine(run_label(run.facts.name), run.p50_ms[timed], run.recall[timed], own))
    return RunCurvesData(LATENCY_TITLE, "median time of a query (ms)", "ms", "fastest", tuple(lines))


def run_curves_figure(data: RunCurvesData, dark: bool) -> Figure:
    """Recall over a logarithmic cost; a larger marker at each run's own threshold."""
    figure = titled_figure(data.title, data.axis, f"Recall@{DEFAULT_K}", dark, curves_takeaway(data))
    if not data.lines:
        return with_note(figure, "No run is measured yet")
    hover = f"%{{x:.3g}} {data.unit}<br>recall %{{y:.3f}}"
    for place, line in enumerate(data.lines):
        style = series_style(place, dark)
        marker = {**style["marker"], "size": 6}
        figure.add_scatter(
            x=line.cost,
            y=line.recall,
            name=line.label,
            mode="lines+markers",
            line=style["line"],
            marker=marker,
            hovertemplate=f"{hover}<extra>%{{fullData.name}}</extra>",
        )
    for place, line in enumerate(data.lines):
        own = slice(line.own, line.own + 1)
        marker = {**series_style(place, dark)["marker"], "size": 15, "line": {"width": 2, "color": text_colour(dark)}}
        figure.add_scatter(
            x=line.cost[own],
            y=line.recall[own],
            name=f"{line.label}, as trained",
            mode="markers",
            marker=marker,
            showlegend=False,
            hovertemplate=f"{hover}, the threshold it was trained with<extra>{line.label}</extra>",
        )
    costs, recalls = (np.concatenate([getattr(line, name) for line in data.lines]) for name in ("cost", "recall"))
    best, shown = float(recalls.max()), recalls >= SHOWN_RECALL * float(recalls.max())
    room = 0.03 * max(best, 1e-3)
    log_axis(figure.x, float(costs[shown].min()), float(costs[shown].max()))
    figure.y.update(range=[float(recalls[shown].min()) - room, best + room])
    figure.layout["showlegend"] = True
    name_columns(figure, x=data.axis)
    return figure


def curves_takeaway(data: RunCurvesData) -> str:
    """Which run is the cheapest with nearly the best recall of all; empty without runs."""
    if not data.lines:
        return ""
    enough = ENOUGH * max(float(line.recall.max()) for line in data.lines)
    reach = [(float(line.cost[line.recall >= enough].min()), line.label) for line in data.lines if (line.recall >= enough).any()]
    cost, label = min(reach)
    return f"{label}: the {data.superlative} within 1% of the best, {cost:.3g} {data.unit}"
