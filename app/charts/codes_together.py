"""Heat map of which codes one user carries together, beside what chance would give."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from sparcode.space.lift import CONFIDENCE, chance_of_overlap

TITLE: Final = "Codes carried together by one user"
# Blue for less, orange for more: told apart by every common kind of colour blindness; each cell has its number as well.
DIVERGING_LIGHT: Final = ("#0072B2", "#FFFFFF", "#D55E00")
DIVERGING_DARK: Final = ("#56B4E9", "#222831", "#E69F00")
_FURTHEST: Final = 4.0
# Pixels of width from which on the numbers of a row have room beside each other.
_TEXT_FROM: Final = 560
# Users, found or expected, from which on a pair has a number.
FEWEST: Final = 5


class CodesTogetherData(NamedTuple):
    """n of `n_codes` codes with their names, `units` (n,) int64, users who carry both, (n, n) int64, of `n_users`; some `selected`."""

    units: np.ndarray
    names: tuple[str, ...]
    both: np.ndarray
    n_users: int
    selected: tuple[bool, ...]
    n_codes: int


def together_lift(both: np.ndarray, n_users: int) -> np.ndarray:
    """(n, n) float64: users who carry both codes over the number expected if they were carried independently.

    NaN on the diagonal, and where fewer than `FEWEST` users are expected as well as found: of such numbers nothing follows.
    """
    alone = np.diag(both).astype(np.float64)
    expected = np.outer(alone, alone) / max(1, n_users)
    lift = np.where((both < FEWEST) & (expected < FEWEST), np.nan, both / np.maximum(expected, 1e-12))
    np.fill_diagonal(lift, np.nan)
    return lift


def codes_together_figure(data: CodesTogetherData, dark: bool) -> Figure:
    """A cell per pair, with its number and the colour of it: above 1 more often together than by chance."""
    lift = together_lift(data.both, data.n_users)
    figure = titled_figure(TITLE, "", "", dark, _takeaway(data, lift))
    if len(data.units) < 2:
        return with_note(figure, "It takes two codes to be carried together")
    labels = [f"▸ {name}" if chosen else name for name, chosen in zip(data.names, data.selected, strict=True)]
    users = [[f"{count:,} users carry both" for count in row] for row in data.both.tolist()]
    texts = [["–" if np.isnan(value) else f"{value:.1f}" for value in row] for row in lift.tolist()]
    for place in range(len(texts)):
        texts[place][place] = ""
    colours = DIVERGING_DARK if dark else DIVERGING_LIGHT
    figure.data.append(
        {
            "type": "heatmap",
            "name": "natural logarithm of times as often as by chance",
            "z": np.log(np.clip(lift, 1 / _FURTHEST, _FURTHEST)),
            "x": labels,
            "y": labels,
            "text": texts,
            "texttemplate": "%{text}",
            "textfont": {"size": 13},
            # Which code a click selects: that of the column.
            "customdata": [data.units.tolist()] * len(data.units),
            "hovertext": users,
            "colorscale": [[0, colours[0]], [0.5, colours[1]], [1, colours[2]]],
            "zmin": -np.log(_FURTHEST),
            "zmax": np.log(_FURTHEST),
            "xgap": 1,
            "ygap": 1,
            "colorbar": {
                "title": {"text": "times as often as by chance", "side": "right", "font": {"size": 13}},
                "tickvals": [float(np.log(value)) for value in (1 / _FURTHEST, 0.5, 1, 2, _FURTHEST)],
                "ticktext": ["¼", "½", "1", "2", "4"],
                "thickness": 14,
            },
            "hovertemplate": "code %{y} and code %{x}: %{hovertext}, %{text} times as many as by chance<extra></extra>",
        }
    )
    for axis in (figure.x, figure.y):
        axis.update(type="category", tickmode="linear", title={"text": ""})
    figure.y["autorange"] = "reversed"
    figure.layout["meta"] = {**figure.layout.get("meta", {}), "text_from": _TEXT_FROM}
    name_columns(figure, x="code", y="carried together with code", text="times as often as by chance")
    return figure


def _beyond_chance(data: CodesTogetherData) -> np.ndarray:
    """(n, n) bool: pairs that independent codes would share as many users with in at most 5% of cases, over all pairs of codes in use.

    Of all, because the shown ones are chosen for the users they share.
    """
    alone = np.broadcast_to(np.diag(data.both), data.both.shape)
    n_pairs = max(1, data.n_codes * (data.n_codes - 1) // 2)
    return (1 - CONFIDENCE) / n_pairs >= chance_of_overlap(data.both, alone.T, alone, data.n_users)


def _takeaway(data: CodesTogetherData, lift: np.ndarray) -> str:
    if len(data.units) < 2 or np.isnan(lift).all():
        return f"No pair of these codes has {FEWEST} users" if len(data.units) > 1 else ""
    beyond = np.where(_beyond_chance(data), lift, np.nan)
    if np.isnan(beyond).all():
        return "No pair of these codes stands together beyond chance"
    row, column = np.unravel_index(int(np.nanargmax(beyond)), lift.shape)
    return f"Codes {data.names[row]} and {data.names[column]} stand together {lift[row, column]:.1f} times as often as by chance"
