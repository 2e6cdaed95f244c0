"""How evenly each codebook's codewords are used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from app.charts.frame import titled_figure, with_note
from app.theme import series_style

TITLE = "Use of codewords"


class CodeUsageData(NamedTuple):
    """Usage per codebook.

    Attributes
    ----------
    relative
        (M, K) float64: use of each codeword, 1 being an even share, most used first.
    perplexity
        (M,) float64.
    """

    relative: np.ndarray
    perplexity: np.ndarray


def code_usage_data(counts: np.ndarray, perplexity: np.ndarray) -> CodeUsageData:
    """Sort codewords by use and relate them to an even share.

    Parameters
    ----------
    counts : np.ndarray
        (M, K) int64 assignments per codeword.
    perplexity : np.ndarray
        (M,) float64.
    """
    counts = np.asarray(counts, dtype=np.float64)
    even = counts.sum(axis=1, keepdims=True) / counts.shape[1]
    relative = np.divide(counts, even, out=np.zeros_like(counts), where=even > 0)
    return CodeUsageData(np.sort(relative, axis=1)[:, ::-1], np.asarray(perplexity, dtype=np.float64))


def code_usage_figure(data: CodeUsageData, dark: bool) -> go.Figure:
    """One stepped line per codebook over its codewords, most used first; the dotted line is even use.

    Parameters
    ----------
    data : CodeUsageData
        What to draw.
    dark : bool
        Whether it stands on the dark background.
    """
    figure = titled_figure(TITLE, "codewords, most used first", "use (1 = even)", dark)
    n_codebooks, codebook_size = data.relative.shape
    if data.relative.sum() == 0:
        return with_note(figure, "No code is in use")
    for book in range(n_codebooks):
        style = series_style(book, dark)
        figure.add_scatter(
            x=np.arange(1, codebook_size + 1),
            y=np.ascontiguousarray(data.relative[book]),
            name=f"codebook {book + 1}",
            mode="lines",
            line={**style["line"], "shape": "hvh", "width": 2.5},
            fill="tozeroy" if n_codebooks == 1 else None,
            hovertemplate="codeword %{x}: %{y:.2f} x even<extra>%{fullData.name}</extra>",
        )
    figure.add_hline(y=1, line={"dash": "dot", "width": 1.5, "color": series_style(9, dark)["line"]["color"]})
    figure.layout.yaxis.update(rangemode="tozero")
    figure.layout.update(showlegend=True)
    return figure
