"""Chart of lines over epochs, with earlier runs as thin lines ("ghosts") behind the current one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.frame import Figure, titled_figure, with_note
from app.theme import TEXT_DARK, TEXT_LIGHT, categorical, series_style

WAITING = "Waiting for the first epoch ..."
# Longer lines have no markers.
_MARKED_POINTS = 12
_GHOST_COLOUR = 9
# A shorter axis would have ticks between epochs.
_LEAST_EPOCHS = 5


class EpochLine(NamedTuple):
    """One line: epochs and values, (n,) float64, values may be NaN; `look` is its place in the palette, None for a ghost.

    The note is added to the hover text.
    """

    name: str
    epochs: np.ndarray
    values: np.ndarray
    look: int | None
    note: str = ""


class EpochLinesData(NamedTuple):
    """One chart over epochs; titles include units.

    Attributes
    ----------
    lines
        Ghosts first, so that they lie behind.
    boundary
        Epoch at which SparCode's training begins; None before that.
    level, level_name
        A reference value and what it is; None and empty for none.
    note
        Shown in place of lines where there are none.
    """

    title: str
    y_title: str
    lines: tuple[EpochLine, ...]
    boundary: float | None = None
    level: float | None = None
    level_name: str = ""
    note: str = WAITING
    from_zero: bool = True


def epoch_line(name: str, epochs: np.ndarray, values: np.ndarray, look: int | None, note: str = "") -> EpochLine:
    """A line without the points that have no value; see `EpochLine`."""
    epochs, values = np.asarray(epochs, dtype=np.float64), np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    return EpochLine(name, epochs[known], values[known], look, note)


def epoch_lines_figure(data: EpochLinesData, dark: bool) -> Figure:
    """The lines of a chart over epochs, or its note where no line has a point."""
    figure = titled_figure(data.title, "epoch", data.y_title, dark)
    drawn = [line for line in data.lines if len(line.epochs)]
    if not drawn:
        return with_note(figure, data.note)
    for line in drawn:
        _draw(figure, line, dark)
    text = TEXT_DARK if dark else TEXT_LIGHT
    if data.level is not None:
        line = {"dash": "dot", "width": 1.5, "color": text}
        figure.add_level(data.level, line, f"{data.level_name} {data.level:.3f}", "left", font={"size": 12})
    end = 1.02 * max(_LEAST_EPOCHS, *(float(line.epochs[-1]) for line in drawn))
    if data.boundary is not None:
        line = {"dash": "dash", "width": 1.5, "color": text}
        # Away from the curves: those from 0 mostly rise, losses fall.
        side, at = "left" if data.boundary > end / 2 else "right", "bottom" if data.from_zero else "top"
        figure.add_boundary(data.boundary, line, "codes from here", side, at, font={"size": 12})
    figure.x.update(range=[0, end])
    if data.from_zero:
        highest = max(float(line.values.max()) for line in drawn)
        figure.y.update(range=[0, 1.08 * highest if highest > 0 else 1.0])
    figure.layout.update(showlegend=len(drawn) > 1)
    return figure


def _draw(figure: Figure, line: EpochLine, dark: bool) -> None:
    note = f"<br>{line.note}" if line.note else ""
    hover = f"{line.name}, epoch %{{x}}<br>{figure.y['title']['text']}: %{{y:.4g}}{note}<extra></extra>"
    if line.look is None:
        look = {"mode": "lines", "line": {"color": categorical(dark)[_GHOST_COLOUR], "width": 1.5}, "opacity": 0.75}
    else:
        style = series_style(line.look, dark)
        mode = "lines+markers" if len(line.epochs) <= _MARKED_POINTS else "lines"
        look = {"mode": mode, "line": {**style["line"], "width": 3}, "marker": {**style["marker"], "size": 7}}
    figure.add_scatter(x=line.epochs, y=line.values, name=line.name, hovertemplate=hover, **look)
