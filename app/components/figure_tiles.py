"""Figures in large type, side by side; those that depend on the threshold follow it while it is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from app.components import add_button
from app.components.bundle import script, style
from app.components.report_button import report_button
from app.measured.figures import NO_DELTA, Delta
from app.report.entry import Tile as ReportTile
from app.report.entry import tiles_entry
from app.session.report import note_for, shown_figures
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
    "sparcode_figure_tiles",
    html='<div class="sparcode-tiles"></div>' + add_button.HTML,
    css=add_button.STYLE + style(__file__),
    js=script(__file__),
    isolate_styles=False,
)


def figure_tiles(tiles: Sequence[Tile], key: str, version: str, says_kind: bool = True) -> None:
    """Draw the tiles, or update those of the same `key`, which is unique on the page; `version` is as in `charts_of` for charts.

    A button below adds them to the visitor's report. `says_kind` is false where a badge beside the tiles has the kind of all.
    """
    plain, figures = [{**tile._asdict(), "delta": tile.delta.text, "tone": tile.delta.tone} for tile in tiles], shown_figures()
    for tile in plain:
        tile["tip"] = TERMS[tile["name"]].meaning if tile["name"] in TERMS else about_label(tile["label"])

    calls = add_button.adding(lambda source, day: tiles_entry([_reported(tile) for tile in tiles], source, day), figures, key)
    data = {"tiles": plain, "version": version, "adds": True, "kinds": says_kind, "note": note_for(key)}
    _mount(key=key, data=data, width="stretch", height="content", **calls)


def add_figures_button(tiles: Sequence[ReportTile], key: str) -> None:
    """A button that adds figures to the report that are drawn in another way; `key` is unique on the page."""
    report_button(lambda source, day: tiles_entry(tiles, source, day), "These figures", key)


def tile_cards(tiles: Sequence[ReportTile], key: str) -> None:
    """The tiles of a report's entry, which do not move."""
    plain = [{**Tile(f"tile-{at}", *tile)._asdict(), "delta": "", "tone": "same", "tip": ""} for at, tile in enumerate(map(_shown, tiles))]
    _mount(key=key, data={"tiles": plain, "version": "", "adds": False, "kinds": True, "note": None}, width="stretch", height="content")


def _reported(tile: Tile) -> ReportTile:
    return ReportTile(tile.label, tile.value, tile.caption, tile.kind)


def _shown(tile: ReportTile) -> tuple[str, str, str, str]:
    return tile.label, tile.kind, tile.value, tile.caption
