"""The map of the code space as a Plotly figure, for reports: codes, items and tokens in a plane, no more than a file can hold."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from app.charts.frame import FONT_SIZE, Figure, name_columns, titled_figure, with_note
from app.theme import BACKGROUND_DARK, BACKGROUND_LIGHT, NEUTRAL_DARK, NEUTRAL_LIGHT, series_style
from sparcode.space.places import CODE, ITEM, TOKEN

# Each is a shape of its own in the page; Plotly's WebGL charts, which draw more, make functions of texts, and reports forbid that.
MOST_POINTS: Final = 4_000
PLAIN, SELECTED, FOUND = 0, 1, 2
# Codes come in order of use, so the first are the most used ones.
_CODES: Final = MOST_POINTS // 4
_SEED: Final = 0
# Of names beside their points, which must be so far apart, as shares of the larger side.
_MOST_NAMED: Final = 12
_APART_X, _APART_Y = 0.4, 0.07
_NAMES: Final = {TOKEN: "tokens", ITEM: "items", CODE: "codes"}
_OF_SELECTION: Final = {TOKEN: "tokens of the selection", ITEM: "items ranked first", CODE: "selected codes"}
_SYMBOLS: Final = {TOKEN: "circle", ITEM: "triangle-up", CODE: "diamond"}
_SIZES: Final = {TOKEN: 3, ITEM: 5, CODE: 7}
_OPACITIES: Final = {TOKEN: 0.35, ITEM: 0.5, CODE: 0.8}


class CodeMapData(NamedTuple):
    """n points of a map.

    Attributes
    ----------
    method
        How they were laid out: "UMAP" or "Principal components".
    plane
        (n, 2) float32 places.
    kinds
        (n,) `CODE`, `ITEM` or `TOKEN`.
    marks
        (n,) `PLAIN`, `SELECTED` or `FOUND`.
    titles, codes
        What each point is, and the name of its nearest code.
    n_points
        Of the map, of which these are a sample.
    said
        What stands out, in words; empty where nothing does.
    """

    method: str
    plane: np.ndarray
    kinds: np.ndarray
    marks: np.ndarray
    titles: tuple[str, ...]
    codes: tuple[str, ...]
    n_points: int
    said: str = ""


def thinned(kinds: np.ndarray, kept: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Places of the points that are drawn, ascending int64: those `kept`, the most used codes, and others drawn by lot with a fixed seed.

    Parameters
    ----------
    kinds
        (N,) kinds of all points, codes in order of use.
    kept
        Places of points that must be among them, as far as `most` allows.
    """
    if len(kinds) <= most:
        return np.arange(len(kinds))
    first = np.unique(kept)[:most]
    codes = np.setdiff1d(np.flatnonzero(kinds == CODE)[:_CODES], first)[: most - len(first)]
    rest = np.setdiff1d(np.flatnonzero(kinds != CODE), first)
    room = min(len(rest), most - len(first) - len(codes))
    drawn = np.random.default_rng(_SEED).choice(rest, room, replace=False)
    return np.sort(np.concatenate([first, codes, drawn]))


def code_map_figure(data: CodeMapData, dark: bool) -> Figure:
    """Points in a plane whose axes keep one scale, each kind by symbol and colour; what is selected or found is on top, with names."""
    n, method = len(data.plane), data.method
    sample = f"{n:,} of the map's {data.n_points:,} points, drawn by lot" if n < data.n_points else f"all {n:,} points of the map"
    figure = titled_figure(f"Map of codes, items and tokens: {method}", f"{sample}<br>axes have no unit", "", dark, data.said)
    if not n:
        return with_note(figure, "There are no points")
    colours = {
        TOKEN: NEUTRAL_DARK if dark else NEUTRAL_LIGHT,
        ITEM: series_style(2, dark)["marker"]["color"],
        CODE: series_style(0, dark)["marker"]["color"],
    }
    for kind in (TOKEN, ITEM, CODE):
        marker = {"symbol": _SYMBOLS[kind], "size": _SIZES[kind], "color": colours[kind], "opacity": _OPACITIES[kind]}
        _add(figure, data, (data.kinds == kind) & (data.marks == PLAIN), _NAMES[kind], marker)
    on, found = (series_style(place, dark)["marker"]["color"] for place in (1, 3))
    for kind in (TOKEN, ITEM, CODE):
        is_token = kind == TOKEN
        marker = {"symbol": _SYMBOLS[kind] + ("" if is_token else "-open"), "size": 4 if is_token else 12, "color": on}
        chosen = (data.kinds == kind) & (data.marks == SELECTED)
        _add(figure, data, chosen, _OF_SELECTION[kind], {**marker, "line": {"width": 0 if is_token else 3}})
    marker = {"symbol": "hexagon-open", "size": 12, "color": found, "line": {"width": 3}}
    _add(figure, data, data.marks == FOUND, "found", marker)
    paper = BACKGROUND_DARK if dark else BACKGROUND_LIGHT
    _name(figure, data, f"{paper}B3")
    figure.layout["hovermode"] = "closest"
    figure.layout["showlegend"] = True
    # In the blank beside a plot of one scale, and above the points where there is none.
    place = {"orientation": "v", "xref": "paper", "yref": "paper", "y": 1, "yanchor": "top"}
    figure.layout["legend"] |= {**place, "bgcolor": f"{paper}B3", "itemsizing": "constant"}
    for axis in (figure.x, figure.y):
        axis |= {"showticklabels": False, "zeroline": False, "constrain": "domain"}
    figure.x["title"]["font"] = {"size": FONT_SIZE - 2}
    figure.y["scaleanchor"] = "x"
    name_columns(figure, x="x", y="y", text="title", customdata=["code"])
    return figure


def _add(figure: Figure, data: CodeMapData, chosen: np.ndarray, name: str, marker: dict[str, Any]) -> None:
    places = np.flatnonzero(chosen)
    if not len(places):
        return
    x, y = data.plane[places].T
    figure.add_scatter(
        x=np.ascontiguousarray(x),
        y=np.ascontiguousarray(y),
        name=name,
        mode="markers",
        text=[data.titles[place] for place in places],
        customdata=[data.codes[place] for place in places],
        marker=marker,
        hovertemplate="%{text}<br>nearest code %{customdata}<extra></extra>",
    )


def _name(figure: Figure, data: CodeMapData, ground: str) -> None:
    """Names of what was found and of selected codes and items, as far as they do not lie on one another."""
    outstanding = np.flatnonzero((data.marks == FOUND) | ((data.marks == SELECTED) & (data.kinds != TOKEN)))
    size, named = max(float(np.ptp(data.plane, axis=0).max()), 1e-9), []
    for place in sorted(outstanding.tolist(), key=lambda place: -data.marks[place]):
        x, y = data.plane[place].tolist()
        is_free = all(abs(x - other) > _APART_X * size or abs(y - level) > _APART_Y * size for other, level in named)
        if is_free and len(named) < _MOST_NAMED:
            named.append((x, y))
            figure.add_annotation(data.titles[place], x=x, y=y, xanchor="left", xshift=8, bgcolor=ground, borderpad=1)
