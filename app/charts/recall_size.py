"""Chart of recall over index size, for this setting, others seen before, and other models."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import Column, axes_stay, let_follow, title_follows
from app.charts.frame import PINNED, Figure, now_marker, pinned_line, pinned_marker, titled_figure, with_note
from app.charts.takeaways import most_accurate, size_takeaway
from app.theme import DASHES, GRID_DARK, GRID_LIGHT, model_style, series_style, text_colour

TITLE = "Recall against index size"
MOST_OTHERS = 4


class TradeOff(NamedTuple):
    """One setting's line: legend label, megabytes and recall (n,) float64, ascending by size."""

    label: str
    megabytes: np.ndarray
    recall: np.ndarray


class Peer(NamedTuple):
    """One point of another model: its name, legend label, cost in MB or ms, recall."""

    model: str
    label: str
    cost: float
    recall: float


class RecallSizeData(NamedTuple):
    """The line of this setting, at most `MOST_OTHERS` other lines, and points of peers, in MB.

    `current` is (MB, recall) at the slider, None before it is measured. `pinned` holds the pinned run's line (without points where it is
    the same line) and its own point, None if there is none.
    """

    this: TradeOff
    others: tuple[TradeOff, ...]
    current: tuple[float, float] | None
    k: int
    pinned: tuple[TradeOff, tuple[float, float]] | None
    peers: tuple[Peer, ...]


def trade_off(label: str, size_bytes: np.ndarray, recall: np.ndarray) -> TradeOff:
    """A line from measured points, (n,) numbers each, in MB and ascending by size."""
    order = np.argsort(size_bytes, kind="stable")
    return TradeOff(label, np.asarray(size_bytes, dtype=np.float64)[order] / 1e6, np.asarray(recall, dtype=np.float64)[order])


def recall_size_data(
    this: TradeOff,
    others: list[TradeOff],
    current: tuple[float, float] | None,
    k: int,
    pinned: tuple[TradeOff, tuple[float, float]] | None = None,
    peers: tuple[Peer, ...] = (),
) -> RecallSizeData:
    """The chart's data: of the others, most recent last, the last `MOST_OTHERS` that have points and another label. All costs in bytes."""
    shown = [other for other in others if len(other.recall) and other.label != this.label]
    marked = None if current is None else (current[0] / 1e6, current[1])
    ghost = None if pinned is None else (pinned[0], (pinned[1][0] / 1e6, pinned[1][1]))
    in_mb = tuple(peer._replace(cost=peer.cost / 1e6) for peer in peers)
    return RecallSizeData(this, tuple(shown[-MOST_OTHERS:]), marked, k, ghost, in_mb)


def recall_size_figure(data: RecallSizeData, dark: bool) -> Figure:
    """Recall over megabytes on a logarithmic axis; every point of a line is one threshold.

    Without points the figure says that the index is being built.
    """
    takeaway = "" if data.current is None else size_takeaway(data.current, most_accurate(data.this.megabytes, data.this.recall))
    figure = titled_figure(TITLE, "index size (MB)", f"Recall@{data.k}", dark, takeaway)
    if len(data.this.recall) == 0 and data.current is None:
        return with_note(figure, "Building the whole index ...")
    faint = GRID_DARK if dark else GRID_LIGHT
    style = series_style(0, dark)
    # All are SparCode's, so they have its colour; other colours are other models'.
    for dash, line in zip(DASHES[1:], data.others, strict=False):
        look = {**style["line"], "dash": dash, "width": 2}
        figure.add_scatter(x=line.megabytes, y=line.recall, name=line.label, mode="lines", line=look)
    if data.pinned is not None:
        line, point = data.pinned
        if len(line.recall):
            figure.add_scatter(x=line.megabytes, y=line.recall, name=PINNED, mode="lines", line=pinned_line(dark))
        x, y = (np.array([value]) for value in point)
        figure.add_scatter(x=x, y=y, name=PINNED, mode="markers", marker=pinned_marker(dark), showlegend=len(line.recall) == 0)
    add_peers(figure, data.peers, dark)
    figure.add_scatter(x=data.this.megabytes, y=data.this.recall, name=data.this.label, mode="lines", line={**style["line"], "width": 3})
    if data.current is not None:
        x, y = (np.array([value]) for value in data.current)
        figure.add_scatter(x=x, y=y, mode="markers", marker=now_marker(0, dark), showlegend=False, name="now")
        let_follow(figure, x=Column.MEGABYTES, y=Column.RECALL)
    for trace in figure.data:
        trace["hovertemplate"] = "%{x:.3g} MB<br>recall %{y:.3f}<extra>%{fullData.name}</extra>"
    figure.x.update(type="log", gridcolor=faint, minor={"showgrid": False}, dtick=1)
    figure.y.update(rangemode="tozero")
    if data.current is not None:
        axes_stay(figure)
    if takeaway:
        title_follows(figure, Column.SIZE_TITLE)
    return figure


def add_peers(figure: Figure, peers: tuple[Peer, ...], dark: bool) -> None:
    """One marker per model, named in the legend because points lie close together."""
    for peer in peers:
        # An edge, because some of the colours are pale.
        marker = {**model_style(peer.model, dark)["marker"], "size": 12, "line": {"width": 1, "color": text_colour(dark)}}
        figure.add_scatter(x=np.array([peer.cost]), y=np.array([peer.recall]), name=peer.label, mode="markers", marker=marker)
