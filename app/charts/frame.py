"""A Plotly figure, its empty start, a note in place of data, and the marks of the current point and of a pinned run."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import numpy as np

from app.theme import figure_layout, series_style, text_colour

FONT_SIZE: Final = 14
PINNED: Final = "pinned"
# Powers of ten: an axis of fewer gets more ticks, one of more fewer.
_NARROW: Final = 1.2
_WIDE: Final = 3.0
_LOWEST: Final = 1e-4


class Figure:
    """Traces and layout, with Plotly's names: https://plotly.com/javascript/reference/.

    Plain dicts, because `plotly.graph_objects` checks every property and takes 50 times as long, too long to follow a slider; the tests
    check instead.
    """

    def __init__(self, layout: dict[str, Any]) -> None:
        self.data: list[dict[str, Any]] = []
        self.layout = layout

    @property
    def x(self) -> dict[str, Any]:
        """The layout of the x axis."""
        return self.layout["xaxis"]

    @property
    def y(self) -> dict[str, Any]:
        """The layout of the y axis."""
        return self.layout["yaxis"]

    def add_scatter(self, **trace: Any) -> None:
        """Add lines, markers or texts."""
        self.data.append({"type": "scatter", **trace})

    def add_bar(self, **trace: Any) -> None:
        """Add bars."""
        self.data.append({"type": "bar", **trace})

    def add_annotation(self, text: str, **place: Any) -> None:
        """Add a text without an arrow."""
        self.layout.setdefault("annotations", []).append({"text": text, "showarrow": False, **place})

    def add_level(self, y: float, line: dict[str, Any], text: str = "", at: str = "right", **look: Any) -> None:
        """Add a horizontal line across the plot, with a text above its "left" or "right" end."""
        self._add_line({"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}, line)
        if text:
            place = {"x": int(at == "right"), "xref": "x domain", "xanchor": at, "y": y, "yref": "y", "yanchor": "bottom"}
            self.add_annotation(text, **place, **look)

    def add_boundary(self, x: float, line: dict[str, Any], text: str, side: str, at: str, **look: Any) -> None:
        """Add a vertical line across the plot, with a text on its "left" or "right" side, at its "top" or "bottom"."""
        self._add_line({"x0": x, "x1": x, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}, line)
        anchor = "right" if side == "left" else "left"
        place = {"x": x, "xref": "x", "xanchor": anchor, "y": int(at == "top"), "yref": "y domain", "yanchor": at}
        self.add_annotation(text, **place, **look)

    def to_json(self) -> str:
        """The figure as `Plotly.react` takes it; ValueError for a number that is not finite, unless an array holds it."""
        return json.dumps({"data": self.data, "layout": self.layout}, default=_typed, allow_nan=False)

    def _add_line(self, place: dict[str, Any], line: dict[str, Any]) -> None:
        self.layout.setdefault("shapes", []).append({"type": "line", "line": line, **place})


def _typed(value: Any) -> Any:
    """An array as Plotly's typed array, which may hold values that are not finite; else as a list."""
    array = np.asarray(value)
    # Browsers have no arrays of 64-bit integers that Plotly reads.
    if array.dtype == np.int64 and (np.abs(array) < 2**31).all():
        array = array.astype(np.int32)
    if array.ndim == 0 or array.dtype.str not in ("<f8", "<f4", "<i4"):
        return array.tolist()
    shape = {"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else {}
    return {"dtype": array.dtype.str[1:], "bdata": base64.b64encode(np.ascontiguousarray(array)).decode("ascii"), **shape}


def titled_figure(title: str, x_title: str, y_title: str, dark: bool, takeaway: str = "") -> Figure:
    """An empty figure in the studio's look; titles include units. Zoom survives new data as long as the title stays.

    A `takeaway` in numbers stands above the title, which then names the chart in smaller type.
    """
    layout = figure_layout(dark, FONT_SIZE)
    for axis, text in (("xaxis", x_title), ("yaxis", y_title)):
        layout[axis]["title"] |= {"text": text, "font": {"size": FONT_SIZE}}
    # A takeaway is longer than a name.
    font = {"size": FONT_SIZE + (-1 if takeaway else 2), "weight": 600 if takeaway else 400}
    place = {"x": 0.01, "xanchor": "left", "y": 0.97, "yanchor": "top", "font": font}
    subtitle = {"text": title, "font": {"size": FONT_SIZE - 2}}
    # At the bottom, where the plot makes room for any number of lines.
    legend = {"orientation": "h", "xref": "container", "x": 0, "xanchor": "left", "yref": "container", "y": 0, "yanchor": "bottom"}
    return Figure(
        {
            **layout,
            "title": {"text": title, **place} if not takeaway else {"text": takeaway, "subtitle": subtitle, **place},
            "margin": {"l": 48, "r": 10, "t": 60 if takeaway else 44, "b": 44},
            "legend": {**legend, "font": {"size": FONT_SIZE - 3}},
            "uirevision": title,
            "autosize": True,
        }
    )


def name_columns(figure: Figure, **headings: str | list[str]) -> None:
    """Headings of the table that a reader may save, where an axis title is not enough; other columns than `x` and `y` need one.

    `x`, `y` and `text` name those of the traces, a list `customdata` each of its columns.
    """
    figure.layout.setdefault("meta", {})["columns"] = headings


def with_note(figure: Figure, note: str) -> Figure:
    """The figure with a text in its middle, in place of data."""
    figure.add_annotation(note, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.x["visible"] = figure.y["visible"] = False
    return figure


def log_axis(axis: dict[str, Any], low: float, high: float) -> None:
    """Make an axis logarithmic, from the lowest to the highest value with room for markers, and with ticks in plain numbers."""
    # A logarithmic axis cannot show zero.
    shown = [float(np.log10(max(low, _LOWEST))) - 0.08, float(np.log10(max(high, _LOWEST))) + 0.08]
    factors = (1, 1.5, 2, 3, 4, 5, 7) if shown[1] - shown[0] < _NARROW else (1, 2, 5) if shown[1] - shown[0] < _WIDE else (1,)
    ticks = np.array([float(f"{factor * 10.0**power:.2g}") for power in range(-4, 6) for factor in factors])
    axis.update(type="log", range=shown, tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])


def now_marker(position: int, dark: bool) -> dict[str, Any]:
    """Marker of the point at the slider, for the series of that position."""
    return {**series_style(position, dark)["marker"], "size": 15, "line": {"width": 2, "color": text_colour(dark)}}


def pinned_line(dark: bool) -> dict[str, Any]:
    """Line of a pinned run: grey and dashed."""
    return {"color": series_style(9, dark)["line"]["color"], "dash": "4px,3px", "width": 2.5}


def pinned_marker(dark: bool, symbol: str = "diamond-open") -> dict[str, Any]:
    """Marker of a pinned run's point: grey and hollow."""
    return {"color": series_style(9, dark)["line"]["color"], "symbol": symbol, "size": 14, "line": {"width": 2.5}}
