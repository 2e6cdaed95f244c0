"""Figures in large type, side by side; those that depend on the threshold follow it while it is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from app.components.bundle import script, style
from app.measured.figures import NO_DELTA, Delta
from sparcode.glossary import TERMS, about_label


class Tile(NamedTuple):
    """One figure: what it is, of which kind of model, its value and caption as text, and its difference to a reference.

    Tiles whose `name` is in `app.charts.threshold_columns.MOVING_TILES` follow the threshold; one whose name or label the
    glossary knows explains itself when it is pointed at or focused.
    """

    name: str
    label: str
    kind: str
    value: str
    caption: str
    delta: Delta = NO_DELTA


_mount = st.components.v2.component(
    "sparcode_figure_tiles", html='<div class="sparcode-tiles"></div>', css=style(__file__), js=script(__file__), isolate_styles=False
)


def figure_tiles(tiles: Sequence[Tile], key: str, version: str) -> None:
    """Draw the tiles, or update those of the same `key`, which is unique on the page; `version` is as in `charts_of` for charts."""
    plain = [{**tile._asdict(), "delta": tile.delta.text, "tone": tile.delta.tone} for tile in tiles]
    for tile in plain:
        tile["tip"] = TERMS[tile["name"]].meaning if tile["name"] in TERMS else about_label(tile["label"])
    _mount(key=key, data={"tiles": plain, "version": version}, width="stretch", height="content")
