"""Chart of recall over the time of a query, at the thresholds that were timed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, axes_stay, let_follow
from app.charts.frame import PINNED, Figure, now_marker, pinned_marker, titled_figure, with_note
from app.charts.recall_size import Peer, add_peers
from app.theme import series_style

TITLE = "Recall against latency"


class RecallLatencyData(NamedTuple):
    """Timed thresholds of one index; nothing in between is known.

    Attributes
    ----------
    p50_ms, recall
        (n,) float64, ascending by threshold.
    busy
        (n,) bool: timed while jobs ran beside it, so an upper bound.
    current
        (median ms, recall) at the slider; None before it is timed.
    pinned
        (2, m) float64 ms and recall of the pinned run's index, and its own point; None if there is none.
    peers
        Other models, cost in ms.
    """

    p50_ms: np.ndarray
    recall: np.ndarray
    busy: np.ndarray
    current: tuple[float, float] | None
    k: int
    pinned: tuple[np.ndarray, tuple[float, float] | None] | None
    peers: tuple[Peer, ...]


def recall_latency_data(
    timed: tuple[np.ndarray, np.ndarray, np.ndarray],
    current: tuple[float, float] | None,
    k: int,
    pinned: tuple[np.ndarray, tuple[float, float] | None] | None = None,
    peers: tuple[Peer, ...] = (),
) -> RecallLatencyData:
    """Put the parts together; `timed` are (n,) median ms, recall, and whether jobs ran beside it. See `RecallLatencyData`."""
    p50_ms, recall, busy = timed
    return RecallLatencyData(np.asarray(p50_ms, dtype=np.float64), np.asarray(recall, dtype=np.float64), busy, current, k, pinned, peers)


def recall_latency_figure(data: RecallLatencyData, dark: bool) -> Figure:
    """Recall over milliseconds; every marker is a measurement, hollow where jobs ran beside it.

    Without points the figure says that they are being timed.
    """
    figure = titled_figure(TITLE, "median time of a query (ms)", f"Recall@{data.k}", dark)
    if len(data.p50_ms) == 0 and data.current is None:
        return with_note(figure, "Not timed yet ...")
    if data.pinned is not None:
        (ms, recall), point = data.pinned
        if len(ms):
            marker = {**pinned_marker(dark), "size": 7, "line": {"width": 1.5}}
            figure.add_scatter(x=ms, y=recall, name=PINNED, mode="markers", marker=marker)
        if point is not None:
            x, y = (np.array([value]) for value in point)
            figure.add_scatter(x=x, y=y, name=PINNED, mode="markers", marker=pinned_marker(dark), showlegend=len(ms) == 0)
    add_peers(figure, data.peers, dark)
    style = series_style(0, dark)
    for busy, name, symbol in ((False, "timed alone", "circle"), (True, "timed beside jobs", "circle-open")):
        chosen = data.busy == busy
        if chosen.any():
            marker = {**style["marker"], "symbol": symbol, "size": 9}
            figure.add_scatter(x=data.p50_ms[chosen], y=data.recall[chosen], name=name, mode="markers", marker=marker)
    x, y = (np.array([value]) for value in data.current or (np.nan, np.nan))
    figure.add_scatter(x=x, y=y, mode="markers", marker=now_marker(0, dark), showlegend=False, name="now")
    let_follow(figure, x=Column.P50, y=Column.RECALL)
    for trace in figure.data:
        trace["hovertemplate"] = "%{x:.3g} ms<br>recall %{y:.3f}<extra>%{fullData.name}</extra>"
    figure.x.update(rangemode="tozero")
    figure.y.update(rangemode="tozero")
    axes_stay(figure)
    return figure
