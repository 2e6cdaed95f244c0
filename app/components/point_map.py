"""A map of up to 50,000 points, drawn by WebGL: zoom, lasso, box and click; what is selected is marked by shape, colour and name. Its
corner saves picture and points, a button below adds it to the visitor's report.

Not by Plotly, whose WebGL charts make functions of texts, which the studio's security policy forbids.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import streamlit as st

from app.components import add_button
from app.components.bundle import script, style
from app.components.live_chart import STYLE
from app.session.report import FiguresOf, MakeEntry, note_for
from app.theme import NEUTRAL_DARK, NEUTRAL_LIGHT, series_style

# Places are sent as whole numbers up to this.
_STEPS: Final = 65_535
_KINDS: Final = ("code", "item", "token")

_mount = st.components.v2.component(
    "sparcode_point_map",
    html='<div class="sparcode-framed"><div class="sparcode-map"></div></div>' + add_button.HTML,
    css=STYLE + style(__file__),
    js=script(__file__),
    isolate_styles=False,
)


class Cloud(NamedTuple):
    """N points as a browser draws them.

    Attributes
    ----------
    version
        Equal only for equal points.
    text
        Places, kinds, units and numbers as base64 of little-endian arrays.
    n
        N.
    middle, size
        Of the square in the plane whose sides the places are steps of.
    """

    version: str
    text: dict[str, str]
    n: int
    middle: tuple[float, float]
    size: float


class Mark(NamedTuple):
    """A point with a name of its own: its place among the points, and the name."""

    place: int
    text: str


class Marked(NamedTuple):
    """What stands out: selected `units`, with the names of their codes, items ranked first, and what a search found, best first each.

    `zoom` is a text; where it changed, the browser shows what was found in the middle.
    """

    units: tuple[int, ...]
    codes: tuple[Mark, ...]
    items: tuple[Mark, ...]
    found: tuple[Mark, ...]
    zoom: str


class MapWords(NamedTuple):
    """What is said of a map: title and caption, for its picture; a text each for codes, items and tokens; a text alternative."""

    title: str
    caption: str
    legend: Sequence[str]
    alt: str


class Pick(NamedTuple):
    """Units that a visitor picked, and how: "toggle" by a click, "replace" or "add" by a lasso or box."""

    units: tuple[int, ...]
    how: str


def cloud(version: str, plane: np.ndarray, kinds: np.ndarray, units: np.ndarray, numbers: np.ndarray) -> Cloud:
    """Points in a (N, 2) plane, of (N,) kinds (0: code, 1: item, 2: token), with their (N,) units and numbers. Both axes keep one scale."""
    low, high = (plane.min(0), plane.max(0)) if len(plane) else (np.zeros(2), np.ones(2))
    middle, size = (low + high) / 2, max(float((high - low).max()), 1e-9)
    scaled = np.clip(((plane - middle) / size + 0.5) * _STEPS, 0, _STEPS).round().astype("<u2")
    arrays = {
        "x": scaled[:, 0],
        "y": scaled[:, 1],
        "kinds": kinds.astype("u1"),
        "units": units.astype("<f8"),
        "numbers": numbers.astype("<i4"),
    }
    text = {name: base64.b64encode(np.ascontiguousarray(array)).decode("ascii") for name, array in arrays.items()}
    return Cloud(version, text, len(plane), (float(middle[0]), float(middle[1])), size)


def point_map(
    points: Cloud,
    marked: Marked,
    words: MapWords,
    names: dict[str, dict[str, str]],
    on_pick: Callable[[Pick], None],
    report: tuple[MakeEntry, FiguresOf | None],
    key: str,
) -> None:
    """Draw a cloud, or update the one of the same key.

    Parameters
    ----------
    names
        What the browser shows beside the pointer: ``"units"`` and ``"items"``, names by number; it shows the number of what has none.
    on_pick
        Called, before the page runs again, with what was picked.
    report
        Makes an entry of the visitor's report, and what its figures are of.
    key
        Unique on the page.
    """
    dark = st.context.theme.type == "dark"
    colours = {
        "code": series_style(0, dark)["marker"]["color"],
        "item": series_style(2, dark)["marker"]["color"],
        "token": NEUTRAL_DARK if dark else NEUTRAL_LIGHT,
        "on": series_style(1, dark)["marker"]["color"],
        "found": series_style(3, dark)["marker"]["color"],
    }

    def picked() -> None:
        told = getattr(st.session_state.get(key), "pick", None)
        pick = read_pick(told)
        if pick is not None:
            on_pick(pick)

    data = {
        "cloud": {"version": points.version, "n": points.n, "middle": points.middle, "size": points.size, **points.text},
        "marked": {
            "units": list(marked.units),
            **{name: [list(mark) for mark in getattr(marked, name)] for name in ("codes", "items", "found")},
            "zoom": marked.zoom,
        },
        "title": words.title,
        "caption": words.caption,
        "legend": dict(zip(_KINDS, words.legend, strict=True)),
        "names": names,
        "colours": colours,
        "alt": words.alt,
        "setting": "" if report[1] is None else report[1].file_words,
        "note": note_for(key),
    }
    calls = {"on_pick_change": picked, **add_button.adding(*report, key)}
    _mount(key=key, data=data, width="stretch", height="content", **calls)


def read_pick(told: Any) -> Pick | None:
    """What a browser told, checked: units are whole numbers from 0; None for anything else."""
    if not isinstance(told, dict):
        return None
    units, how = told.get("units"), told.get("how")
    if not isinstance(units, list | tuple) or how not in ("toggle", "replace", "add"):
        return None
    whole = [int(unit) for unit in units if isinstance(unit, int | float) and not isinstance(unit, bool) and 0 <= unit < 2**53]
    return Pick(tuple(dict.fromkeys(whole)), how)
