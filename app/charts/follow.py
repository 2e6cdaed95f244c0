"""How a chart says which of its traces follow the threshold while it is dragged, before the server draws anew.

The browser holds a table of measured columns, one row per stop (`app.components.threshold_columns`), and puts values of the row under the
slider into the traces named here.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from app.theme import TEXT_DARK, TEXT_LIGHT, series_style

# Name of a column, a number that stays, or several of either for a trace of several points.
Source = str | float | list[str | float]


def let_follow(figure: go.Figure, **sources: Source) -> None:
    """Mark the trace added last: what its `x`, `y` or `text` takes from the columns. A single name may stand for a column of arrays."""
    meta: dict[str, Any] = figure.layout.meta or {"follow": []}
    figure.layout.meta = {"follow": [*meta["follow"], {"trace": len(figure.data) - 1, **sources}]}


def now_marker(position: int, dark: bool) -> dict[str, Any]:
    """Marker of the point at the slider, for the series of that position."""
    return {**series_style(position, dark)["marker"], "size": 15, "line": {"width": 2, "color": TEXT_DARK if dark else TEXT_LIGHT}}
