"""Chart of how evenly each codebook's codewords are used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.frame import PINNED, Figure, name_columns, pinned_line, titled_figure, with_note
from app.charts.takeaways import usage_takeaway
from app.theme import series_style

TITLE = "Use of codewords"
DEPENDS = "M, K and T decide it, not the threshold"
RANK_COLUMN, USE_COLUMN = "place of the codeword by use", "use (1 = even share)"
# Of one point in a chart of use.
USE_HOVER = "codeword no. %{x} by use: used %{y:.2f} times an even share"


class CodeUsageData(NamedTuple):
    """Use of codewords, most used first, 1 being an even share: relative (M, K) and pinned (M', K'), the pinned run's; perplexity (M,); all
    float64.
    """

    relative: np.ndarray
    perplexity: np.ndarray
    pinned: np.ndarray | None = None


def code_usage_data(counts: np.ndarray, perplexity: np.ndarray, pinned_counts: np.ndarray | None = None) -> CodeUsageData:
    """Sort codewords by use: counts (M, K) int64 assignments, perplexity (M,) float64; the pinned run's counts may differ in shape."""
    ghost = None if pinned_counts is None else _relative(pinned_counts)
    return CodeUsageData(_relative(counts), np.asarray(perplexity, dtype=np.float64), ghost)


def code_usage_figure(data: CodeUsageData, dark: bool) -> Figure:
    """One stepped line per codebook over its codewords, most used first; the dotted line is even use."""
    n_codebooks, codebook_size = data.relative.shape
    if data.relative.sum() == 0:
        return with_note(titled_figure(TITLE, "", "", dark), "No code is in use")
    figure = titled_figure(TITLE, "codewords, most used first", "use (1 = even)", dark, usage_takeaway(data.perplexity, codebook_size))
    figure.layout["title"]["subtitle"]["text"] = f"{TITLE}: {DEPENDS}"
    for book, use in enumerate(() if data.pinned is None else data.pinned):
        figure.add_scatter(
            x=np.arange(1, len(use) + 1),
            y=np.ascontiguousarray(use),
            name=PINNED,
            mode="lines",
            line={**pinned_line(dark), "shape": "hvh"},
            showlegend=book == 0,
            hovertemplate=f"pinned, codebook {book + 1}<br>{USE_HOVER}<extra></extra>",
        )
    for book in range(n_codebooks):
        style = series_style(book, dark)
        figure.add_scatter(
            x=np.arange(1, codebook_size + 1),
            y=np.ascontiguousarray(data.relative[book]),
            name=f"codebook {book + 1}",
            mode="lines",
            line={**style["line"], "shape": "hvh", "width": 2.5},
            fill="tozeroy" if n_codebooks == 1 else None,
            hovertemplate=f"{USE_HOVER}<extra>%{{fullData.name}}</extra>",
        )
    figure.add_level(1, {"dash": "dot", "width": 1.5, "color": series_style(9, dark)["line"]["color"]})
    figure.y.update(rangemode="tozero")
    figure.layout.update(showlegend=True)
    name_columns(figure, x=RANK_COLUMN, y=USE_COLUMN)
    return figure


def _relative(counts: np.ndarray) -> np.ndarray:
    """(M, K) use of each codeword, 1 being an even share, most used first."""
    counts = np.asarray(counts, dtype=np.float64)
    even = counts.sum(axis=1, keepdims=True) / counts.shape[1]
    return np.sort(np.divide(counts, even, out=np.zeros_like(counts), where=even > 0), axis=1)[:, ::-1]
