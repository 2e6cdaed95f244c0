"""How a chart says which of its traces follow the threshold while it is dragged, before the server draws anew.

The browser holds a table of measured columns, one row per stop (`app.components.threshold_columns`), and puts values of the row under the
slider into the traces named here.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import plotly.graph_objects as go

from app.theme import TEXT_DARK, TEXT_LIGHT, series_style

# Share of an axis beyond the outermost value.
_ROOM: Final = 0.06
# Name of a column, a number that stays, or several of either for a trace of several points.
Source = str | float | list[str | float]


def let_follow(figure: go.Figure, **sources: Source) -> None:
    """Mark the trace added last: what its `x`, `y` or `text` takes from the columns. A single name may stand for a column of arrays."""
    meta: dict[str, Any] = figure.layout.meta or {"follow": []}
    figure.layout.meta = {**meta, "follow": [*meta["follow"], {"trace": len(figure.data) - 1, **sources}]}


def axes_stay(figure: go.Figure, *heights: float) -> None:
    """Fix the axes around all traces of a finished figure, so that no stop of the threshold moves them.

    The browser then moves what follows in half the time. Markers on the edge stay whole.

    Parameters
    ----------
    figure
        Its axes keep their kind, direction and zero.
    heights
        Further values that the vertical axis has room for.
    """
    for axis, part, more in ((figure.layout.xaxis, "x", ()), (figure.layout.yaxis, "y", heights)):
        values = np.concatenate([*(np.asarray(trace[part], dtype=np.float64) for trace in figure.data), np.array(more, dtype=np.float64)])
        is_log = axis.type == "log"
        values = np.log10(values[values > 0]) if is_log else values[np.isfinite(values)]
        if len(values) == 0:
            return
        low, high = float(values.min()), float(values.max())
        room = _ROOM * (high - low) or _ROOM
        low = 0.0 if axis.rangemode == "tozero" and not is_log and low >= 0 else low - room
        ends = [low, high + room]
        axis.update(range=ends[::-1] if axis.autorange == "reversed" else ends, autorange=False)
    for mark in figure.layout.meta["follow"]:
        figure.data[mark["trace"]].cliponaxis = False
    figure.layout.meta = {**figure.layout.meta, "axes stay": True}


def now_marker(position: int, dark: bool) -> dict[str, Any]:
    """Marker of the point at the slider, for the series of that position."""
    return {**series_style(position, dark)["marker"], "size": 15, "line": {"width": 2, "color": TEXT_DARK if dark else TEXT_LIGHT}}
