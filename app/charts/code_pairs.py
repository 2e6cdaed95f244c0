"""Heat map of composite codes of two codebooks: how many tokens take each pair of codewords."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, titled_figure, with_note
from app.theme import SEQUENTIAL, series_style

TITLE: Final = "Tokens by pair of codewords"


class CodePairsData(NamedTuple):
    """Two codebooks of K codewords.

    Attributes
    ----------
    tokens
        (K, K) float64 weight of tokens; row: codeword of codebook 2, column: of codebook 1. So the whole code of a cell is
        ``row * K + column``.
    picks
        (K, K) int64, what a click on a cell selects.
    selected
        (n, 2) int64 selected cells, row and column.
    lines
        Selected codewords of one codebook, and which codebook it is, 0 or 1; its row or column is marked.
    """

    tokens: np.ndarray
    picks: np.ndarray
    selected: np.ndarray
    lines: tuple[int, ...] = ()
    book: int = 0


def code_pairs_figure(data: CodePairsData, dark: bool) -> Figure:
    """A cell per pair on a logarithmic scale of colour, with empty pairs left out; selected ones are framed."""
    in_use = data.tokens > 0
    takeaway = f"{int(in_use.sum()):,} of {data.tokens.size:,} pairs are in use"
    figure = titled_figure(TITLE, "codeword of codebook 1", "codeword of codebook 2", dark, takeaway)
    if not in_use.any():
        return with_note(figure, "No code is in use")
    values = np.where(in_use, np.log10(np.maximum(data.tokens, 1e-6)), np.nan)
    low, high = float(np.nanpercentile(values, 2)), float(np.nanmax(values))
    ticks = np.unique(np.round(np.linspace(low, high, 4)))
    figure.data.append(
        {
            "type": "heatmap",
            "name": "decimal logarithm of tokens",
            "z": values,
            "customdata": data.picks.tolist(),
            "text": [[f"{value:,.1f}" for value in row] for row in data.tokens.tolist()],
            "colorscale": [[step / (len(SEQUENTIAL) - 1), colour] for step, colour in enumerate(SEQUENTIAL)],
            "zmin": low,
            "zmax": max(high, low + 1e-6),
            "hoverongaps": False,
            "colorbar": {
                "title": {"text": "tokens", "side": "right", "font": {"size": 13}},
                "tickvals": ticks.tolist(),
                "ticktext": [f"{10**tick:,.4g}" for tick in ticks.tolist()],
                "thickness": 14,
            },
            "hovertemplate": "codebook 1: %{x}, codebook 2: %{y}: %{text} tokens; click to select<extra></extra>",
        }
    )
    mark = series_style(1, dark)["marker"]["color"]
    if len(data.selected):
        figure.add_scatter(
            x=data.selected[:, 1],
            y=data.selected[:, 0],
            mode="markers",
            name="selected",
            hoverinfo="skip",
            marker={"symbol": "square-open", "size": 14, "color": mark, "line": {"width": 3}},
        )
    for line in data.lines:
        side = {"x0": line - 0.5, "x1": line + 0.5, "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
        if data.book == 1:
            side = {"y0": line - 0.5, "y1": line + 0.5, "yref": "y", "x0": 0, "x1": 1, "xref": "x domain"}
        figure.layout.setdefault("shapes", []).append({"type": "rect", "line": {"color": mark, "width": 3}, **side})
        place = {"x": line, "y": 1, "yref": "y domain", "yanchor": "top"}
        if data.book == 1:
            place = {"y": line, "x": 1, "xref": "x domain", "xanchor": "right"}
        figure.add_annotation(str(line), **place, bgcolor=figure.layout["plot_bgcolor"], bordercolor=mark)
    return figure
