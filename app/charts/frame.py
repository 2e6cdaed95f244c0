"""Shared parts of charts: the empty figure, a note in place of data, and the marks of the current point and of a pinned run."""

from __future__ import annotations

from typing import Any, Final

import plotly.graph_objects as go

from app.theme import figure_layout, series_style, text_colour

FONT_SIZE: Final = 14
PINNED: Final = "pinned"


def titled_figure(title: str, x_title: str, y_title: str, dark: bool) -> go.Figure:
    """An empty figure in the studio's look; titles include units. Zoom survives new data as long as the title stays."""
    layout = figure_layout(dark, FONT_SIZE)
    for axis, text in (("xaxis", x_title), ("yaxis", y_title)):
        layout[axis]["title"] |= {"text": text, "font": {"size": FONT_SIZE}}
    # At the bottom, where the plot makes room for any number of lines.
    legend = {"orientation": "h", "xref": "container", "x": 0, "xanchor": "left", "yref": "container", "y": 0, "yanchor": "bottom"}
    # In one call: changing a layout takes Plotly ten times as long as validating a new one.
    return go.Figure(
        layout={
            **layout,
            "title": {"text": title, "x": 0.01, "xanchor": "left", "y": 0.97, "yanchor": "top", "font": {"size": FONT_SIZE + 2}},
            "margin": {"l": 48, "r": 10, "t": 44, "b": 44},
            "legend": {**legend, "font": {"size": FONT_SIZE - 3}},
            "uirevision": title,
            "autosize": True,
        }
    )


def with_note(figure: go.Figure, note: str) -> go.Figure:
    """The figure with a text in its middle, in place of data."""
    figure.add_annotation(text=note, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.layout.xaxis.visible = figure.layout.yaxis.visible = False
    return figure


def now_marker(position: int, dark: bool) -> dict[str, Any]:
    """Marker of the point at the slider, for the series of that position."""
    return {**series_style(position, dark)["marker"], "size": 15, "line": {"width": 2, "color": text_colour(dark)}}


def pinned_line(dark: bool) -> dict[str, Any]:
    """Line of a pinned run: grey and dashed."""
    return {"color": series_style(9, dark)["line"]["color"], "dash": "4px,3px", "width": 2.5}


def pinned_marker(dark: bool, symbol: str = "diamond-open") -> dict[str, Any]:
    """Marker of a pinned run's point: grey and hollow."""
    return {"color": series_style(9, dark)["line"]["color"], "symbol": symbol, "size": 14, "line": {"width": 2.5}}
