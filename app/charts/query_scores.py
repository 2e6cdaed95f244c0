"""Chart of the scores of a query's top items, as the parts that its lists add."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from app.charts.follow import QueryColumn, let_follow, title_follows
from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.theme import series_style

TITLE = "Score of each item, by list"
# Groups of lists, with that of all others; `QueryColumn` has a column for each.
MOST_PARTS = 6
_PATTERNS = ("", "/", "x", "-", "|", ".")
# Lists that the title speaks of, at most.
_STRONGEST = 3
_NUMBERS = {2: "two", 3: "three"}


class QueryScoresData(NamedTuple):
    """Items from the best down, groups of lists, strongest first, and what each adds to every item: (n_items, n_parts) float64."""

    items: tuple[str, ...]
    parts: tuple[str, ...]
    added: np.ndarray


def grouped(contributions: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(..., n_lists) contributions by group: the strongest lists, in order, then all others together; (..., at most `MOST_PARTS`)."""
    ordered = contributions[..., order]
    if len(order) <= MOST_PARTS:
        return ordered
    rest = ordered[..., MOST_PARTS - 1 :].sum(-1, keepdims=True)
    return np.concatenate([ordered[..., : MOST_PARTS - 1], rest], axis=-1)


def scores_takeaway(added: np.ndarray) -> str:
    """The part of the first three lists, strongest first, in all scores, of (n_items, n_parts); empty where there is no score."""
    total, n_parts = float(added.sum()), added.shape[1]
    if total <= 0:
        return ""
    which = f"The {_NUMBERS[min(_STRONGEST, n_parts)]} strongest lists give" if n_parts > 1 else "One list gives"
    return f"{which} {float(added[:, :_STRONGEST].sum()) / total:.0%} of these scores"


def strongest_first(added: np.ndarray) -> np.ndarray:
    """(n_items, n_lists) with the lists that add most first."""
    return added[:, np.argsort(-added.sum(0), kind="stable")]


def query_scores_figure(data: QueryScoresData, dark: bool) -> Figure:
    """A bar per item, a part per group of lists."""
    figure = titled_figure(TITLE, "score", "", dark, scores_takeaway(data.added))
    if not data.items:
        return with_note(figure, "No list holds an item above the threshold")
    for position, name in enumerate(data.parts):
        figure.add_bar(
            x=data.added[:, position],
            y=list(data.items),
            orientation="h",
            name=name,
            marker=_look(position, figure, dark),
            hovertemplate="%{y}<br>%{fullData.name} adds %{x:.3g}<extra></extra>",
        )
        let_follow(figure, x=QueryColumn.of_part(position))
    title_follows(figure, QueryColumn.PARTS_TITLE)
    figure.x.update(rangemode="tozero")
    figure.y.update(autorange="reversed", type="category")
    figure.layout.update(barmode="stack", bargap=0.25, showlegend=True)
    figure.layout["legend"]["traceorder"] = "normal"
    name_columns(figure, x="score added by the list", y="item")
    return figure


def _look(position: int, figure: Figure, dark: bool) -> dict[str, Any]:
    """Colour and pattern, so that parts differ by more than colour; all other lists are grey."""
    colour = series_style(9 if position == MOST_PARTS - 1 else position, dark)["line"]["color"]
    strokes = {"fillmode": "overlay", "fgcolor": figure.layout["plot_bgcolor"], "size": 6, "solidity": 0.2}
    return {"color": colour, "pattern": {"shape": _PATTERNS[position], **strokes}}
