"""How long the posting lists are at the current threshold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from app.charts.frame import titled_figure, with_note
from app.theme import series_style

TITLE = "Length of posting lists"
N_BINS = 30


class ListLengthsData(NamedTuple):
    """A histogram.

    Attributes
    ----------
    centres, counts
        (n_bins,) float64 postings and int64 lists.
    width
        Of a bin, in postings.
    median
        Postings of the median list; NaN without lists.
    """

    centres: np.ndarray
    counts: np.ndarray
    width: float
    median: float


def list_lengths_data(lengths: np.ndarray, n_items: int) -> ListLengthsData:
    """Count lists by length, in bins that stay the same when the threshold moves.

    Parameters
    ----------
    lengths : np.ndarray
        (n_lists,) integers.
    n_items : int
        Catalogue size, the longest a list can be.
    """
    edges = np.linspace(0, max(1, n_items), N_BINS + 1)
    counts, _ = np.histogram(lengths, bins=edges)
    median = float(np.median(lengths)) if len(lengths) else float("nan")
    return ListLengthsData((edges[:-1] + edges[1:]) / 2, counts, float(edges[1]), median)


def list_lengths_figure(data: ListLengthsData, dark: bool) -> go.Figure:
    """Bars over the number of items in a list, with the median marked.

    Parameters
    ----------
    data : ListLengthsData
        What to draw.
    dark : bool
        Whether it stands on the dark background.
    """
    figure = titled_figure(TITLE, "items in a list", "lists", dark)
    if data.counts.sum() == 0:
        return with_note(figure, "The index has no lists")
    colour = series_style(0, dark)["line"]["color"]
    figure.add_bar(
        x=data.centres,
        y=data.counts,
        width=data.width,
        marker={"color": colour},
        hovertemplate="about %{x:.0f} items: %{y:,} lists<extra></extra>",
    )
    accent = series_style(1, dark)["line"]
    figure.add_vline(x=data.median, line=accent, annotation_text=f"median {data.median:,.0f}")
    # Room above the highest bar for the median's label.
    figure.layout.yaxis.update(range=[0, 1.15 * float(data.counts.max())])
    figure.layout.xaxis.update(range=[0, float(data.centres[-1] + data.width / 2)])
    figure.layout.update(showlegend=False, bargap=0.05)
    return figure
