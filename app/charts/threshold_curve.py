"""Chart of accuracy over the threshold, with the current threshold marked."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, axes_stay, let_follow, title_follows
from app.charts.frame import PINNED, Figure, name_columns, now_marker, pinned_line, pinned_marker, titled_figure, with_note
from app.charts.takeaways import accuracy_takeaway
from app.theme import series_style, text_colour

TITLE = "Accuracy against threshold"
TICKS = (0.2, 1.0, 5.0, 20.0)


class PinnedCurve(NamedTuple):
    """The curve of a pinned run, (n,) float64, empty where it is the same curve.

    `point` is (percent kept, recall) of the run, None where its index is empty.
    """

    percent_kept: np.ndarray
    recall: np.ndarray
    point: tuple[float, float] | None


class ThresholdCurveData(NamedTuple):
    """Curve of one index over its thresholds.

    Attributes
    ----------
    tau, percent_kept, recall, ndcg
        (n,) float64, ascending by tau.
    current
        (percent kept, recall, NDCG) at the slider; None before it is measured.
    ceiling
        Recall of the all-to-all model without codes; None if unknown.
    """

    tau: np.ndarray
    percent_kept: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray
    current: tuple[float, float, float] | None
    ceiling: float | None
    k: int
    pinned: PinnedCurve | None


def threshold_curve_data(
    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    current: tuple[float, float, float] | None,
    ceiling: float | None,
    k: int,
    pinned: PinnedCurve | None = None,
) -> ThresholdCurveData:
    """Put a measured curve in order and shares in percent.

    `columns` are (n,) tau, share kept, recall, NDCG; `current` is share kept, recall and NDCG at the slider. Shares are 0 to 1.
    """
    tau, density, recall, ndcg = (np.asarray(column, dtype=np.float64) for column in columns)
    # A logarithmic axis cannot show a share of 0 (an empty index).
    order = np.argsort(tau, kind="stable")
    order = order[density[order] > 0]
    marked = (100 * current[0], *current[1:]) if current is not None and current[0] > 0 else None
    return ThresholdCurveData(tau[order], 100 * density[order], recall[order], ndcg[order], marked, ceiling, k, pinned)


def threshold_curve_figure(data: ThresholdCurveData, dark: bool) -> Figure:
    """Recall and NDCG over the share of scores kept, from many (left) to few; hover texts show tau.

    Without points the figure says that the curve is being measured.
    """
    takeaway = "" if data.current is None else accuracy_takeaway(data.current[1], data.current[0], data.ceiling)
    figure = titled_figure(TITLE, "share of scores kept, and its threshold", "mean over test users", dark, takeaway)
    if len(data.tau) == 0 and data.current is None:
        return with_note(figure, "Measuring ...")
    if data.pinned is not None:
        _add_pinned(figure, data.pinned, dark)
    for position, (name, values) in enumerate(((f"Recall@{data.k}", data.recall), (f"NDCG@{data.k}", data.ndcg))):
        style = series_style(position, dark)
        figure.add_scatter(
            x=data.percent_kept,
            y=values,
            customdata=data.tau,
            name=name,
            mode="lines",
            line={**style["line"], "width": 3},
            hovertemplate=f"{name} %{{y:.3f}}<br>%{{x:.3g}} % of scores kept<br>threshold τ %{{customdata:.4g}}<extra></extra>",
        )
        if data.current is not None:
            figure.add_scatter(
                x=np.array([data.current[0]]),
                y=np.array([data.current[1 + position]]),
                name=f"{name}, now",
                mode="markers",
                marker=now_marker(position, dark),
                showlegend=False,
                hovertemplate=f"now: {name} %{{y:.3f}}<br>%{{x:.3g}} % of scores kept<extra></extra>",
            )
            let_follow(figure, x=Column.PERCENT, y=(Column.RECALL, Column.NDCG)[position])
    if data.ceiling is not None:
        line = {"dash": "dot", "width": 2, "color": text_colour(dark)}
        figure.add_level(data.ceiling, line, "recall without codes")
    percents, ticks = np.array(TICKS), [_tick(data, percent) for percent in TICKS]
    figure.x.update(type="log", autorange="reversed", tickvals=percents, ticktext=ticks, tickangle=0)
    figure.y.update(rangemode="tozero")
    name_columns(figure, x="scores kept (%)", customdata=["threshold tau"])
    if data.current is not None:
        # Room for the ceiling's label above its line.
        axes_stay(figure, *([] if data.ceiling is None else [1.1 * data.ceiling]))
        title_follows(figure, Column.ACCURACY_TITLE)
    return figure


def _add_pinned(figure: Figure, pinned: PinnedCurve, dark: bool) -> None:
    hover = "pinned: recall %{y:.3f}<br>%{x:.3g} % of scores kept<extra></extra>"
    if len(pinned.recall):
        figure.add_scatter(x=pinned.percent_kept, y=pinned.recall, name=PINNED, mode="lines", line=pinned_line(dark), hovertemplate=hover)
    if pinned.point is not None:
        x, y = (np.array([value]) for value in pinned.point)
        shown = len(pinned.recall) == 0
        figure.add_scatter(x=x, y=y, name=PINNED, mode="markers", marker=pinned_marker(dark), showlegend=shown, hovertemplate=hover)


def _tick(data: ThresholdCurveData, percent: float) -> str:
    """The share, and under it the tau of the nearest measured point (within a fifth)."""
    if len(data.tau) == 0:
        return f"{percent:g} %"
    distance = np.abs(np.log(data.percent_kept / percent))
    nearest = int(np.argmin(distance))
    return f"{percent:g} %<br>\u03c4 {data.tau[nearest]:.3g}" if distance[nearest] < 0.2 else f"{percent:g} %"
