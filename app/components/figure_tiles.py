"""Figures in large type, side by side; the ones that depend on the threshold follow it while it is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from app.components.bundle import script, style
from app.measured.figure_texts import NO_DELTA, Delta


class Tile(NamedTuple):
    """One figure.

    Attributes
    ----------
    name
        Tells it apart; where it is one of `app.charts.threshold_columns.MOVING_TILES`, it follows the threshold.
    label, kind
        What it is, and of which model.
    value
        As text.
    caption
        What else there is to say.
    delta
        Difference to what it is held against.
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
    """Draw the figures, or update those that stand there under the same key.

    Parameters
    ----------
    tiles
        In the order to show.
    key
        Tells groups of tiles on a page apart.
    version
        What they are of, as for charts; see `app.components.live_chart.charts_of`.
    """
    plain = [{**tile._asdict(), "delta": tile.delta.text, "tone": tile.delta.tone} for tile in tiles]
    _mount(key=key, data={"tiles": plain, "version": version}, width="stretch", height="content")
