"""What every chart shares: the themed empty figure with its title, and how it says that there is nothing to draw."""

from __future__ import annotations

import plotly.graph_objects as go

from app.theme import figure_layout

FONT_SIZE = 14


def titled_figure(title: str, x_title: str, y_title: str, dark: bool) -> go.Figure:
    """An empty figure in the studio's look.

    Parameters
    ----------
    title, x_title, y_title : str
        Texts, units included.
    dark : bool
        Whether it stands on the dark background.

    Returns
    -------
    go.Figure
        Zoom survives new data as long as the title stays.
    """
    layout = figure_layout(dark, FONT_SIZE)
    for axis, text in (("xaxis", x_title), ("yaxis", y_title)):
        layout[axis]["title"] |= {"text": text, "font": {"size": FONT_SIZE}}
    # All at once: Plotly takes ten times as long to change a layout as to check a new one.
    return go.Figure(
        layout={
            **layout,
            "title": {"text": title, "x": 0.01, "xanchor": "left", "y": 0.97, "yanchor": "top", "font": {"size": FONT_SIZE + 2}},
            "margin": {"l": 56, "r": 18, "t": 64, "b": 44},
            "legend": {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "font": {"size": FONT_SIZE - 2}},
            "uirevision": title,
            "autosize": True,
        }
    )


def with_note(figure: go.Figure, note: str) -> go.Figure:
    """The figure with a text in its middle, in place of data."""
    figure.add_annotation(text=note, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    figure.layout.xaxis.visible = figure.layout.yaxis.visible = False
    return figure
