"""Chart of a query's posting lists: how long each is, and how much of it the threshold keeps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.follow import QueryColumn, let_follow, title_follows
from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.theme import GRID_DARK, GRID_LIGHT, series_style

TITLE = "Its posting lists, cut at tau"


class QueryListsData(NamedTuple):
    """Lists by name, from top to bottom, with their weights; items above tau and in the whole list, (n,) int64 each.

    `n_lists` lists in all, which hold `n_items` items above tau.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    lengths: np.ndarray
    stored: np.ndarray
    n_lists: int
    n_items: int


def lengths_takeaway(n_lists: int, n_items: int) -> str:
    """What is added up, in all lists of the query."""
    return f"{n_items:,} scores of {n_lists} lists are added up"


def query_lists_figure(data: QueryListsData, dark: bool) -> Figure:
    """A bar per list: all of its items, and those above the threshold."""
    figure = titled_figure(TITLE, "items in the list", "", dark, lengths_takeaway(data.n_lists, data.n_items))
    if not data.names:
        return with_note(figure, "The query has no lists")
    labels = [f"{name} · w {weight:.2f}" for name, weight in zip(data.names, data.weights.tolist(), strict=True)]
    below = {
        "color": GRID_DARK if dark else GRID_LIGHT,
        "pattern": {"shape": "/", "fgcolor": series_style(9, dark)["line"]["color"], "size": 5},
    }
    figure.add_bar(
        x=data.stored.astype(np.float64),
        y=labels,
        orientation="h",
        width=0.8,
        name="stored",
        marker=below,
        hovertemplate="%{y}: %{x:,} items stored<extra></extra>",
    )
    figure.add_bar(
        x=data.lengths.astype(np.float64),
        y=labels,
        orientation="h",
        width=0.5,
        name="above tau",
        marker={"color": series_style(0, dark)["line"]["color"]},
        hovertemplate="%{y}: %{x:,} items above tau<extra></extra>",
    )
    let_follow(figure, x=QueryColumn.LENGTHS)
    title_follows(figure, QueryColumn.LENGTHS_TITLE)
    figure.x.update(range=[0, 1.02 * float(max(1, data.stored.max()))])
    figure.y.update(autorange="reversed", type="category")
    figure.layout.update(barmode="overlay", showlegend=True)
    name_columns(figure, y="list and its weight w")
    return figure
