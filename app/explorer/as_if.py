"""Latency and size as if the catalogue had 100,000 items, from the measurement on growing catalogues."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NamedTuple

import streamlit as st

from app.components.figure_tiles import Tile
from app.measured.figures import NO_DELTA, figure_text
from app.measured.scale_words import found_text
from app.measured.scaling import ScaleResult, sizes_for
from app.measured.threshold_stops import KEPT_PERCENTS, share_of
from app.studio import Studio
from sparcode.comparison.found_share import FOUND_K
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import at_share
from sparcode.comparison.peers import SPARCODE
from sparcode.config import RunConfig

N_ITEMS: Final = 100_000
LABEL: Final = f"As if the catalogue had {N_ITEMS:,} items"
_KEY: Final = "explorer_as_if"
_AT: Final = f"at {N_ITEMS:,} items"


class Large(NamedTuple):
    """SparCode's points at that size, of an index of so many lists, and the measurement that they are of in words."""

    points: tuple[GrowthPoint, ...]
    n_lists: int
    note: str
    origin: str


def large_of(result: ScaleResult) -> Large:
    """What a measurement has at that size, which may be nothing."""
    points = tuple(point for point in result.points if (point.name, point.n_items) == (SPARCODE, N_ITEMS))
    recording = result.recording
    machine = result.machine if recording is None else f"{recording.machine}, {recording.day_words}"
    return Large(points, result.n_lists, note(result), f"latency, size and scores kept at {N_ITEMS:,} items: {result.kind}, {machine}")


def chosen_large(config: RunConfig, studio: Studio) -> Large | None:
    """SparCode's points at that size if the visitor wants them shown; draws the switch.

    There is no switch for a catalogue that the page Scale does not measure at that size.
    """
    if N_ITEMS not in sizes_for(studio.split.train.n_items):
        return None
    result = studio.scaling.result(config)
    large = None if result is None else large_of(result)
    points = () if large is None else large.points
    help_text = "Of the measurement on the page Scale." if points else "Measure this setting on the page Scale first."
    wanted = st.toggle(LABEL, key=_KEY, disabled=not points, help=help_text)
    return large if wanted and points else None


def note(result: ScaleResult) -> str:
    """What the figures at that size are of: the model measured may be another than the one looked at."""
    where = "on this machine" if result.recording is None else result.recording.words
    return (
        f"Latency, size and scores kept are those of the catalogue grown to **{N_ITEMS:,} items**, between measured shares where marked "
        f"≈, of the model **{result.kind}** when the page Scale measured it, {where}; every other figure and all charts stay those of the "
        "real one."
    )


def as_if_tiles(tiles: Sequence[Tile], large: Large | None, percent: str) -> list[Tile]:
    """Tiles with size and latency at that size and threshold, which their labels name; as they are without points."""
    if large is None:
        return list(tiles)
    texts = _texts(large, percent)
    return [
        tile._replace(**texts[tile.name], label=f"{tile.label} {_AT}", delta=NO_DELTA) if tile.name in texts else tile for tile in tiles
    ]


def as_if_columns(curve: str, large: Large | None) -> str:
    """What the slider shows while it is dragged, with size and latency at that size; see `app.charts.threshold_columns`."""
    if large is None or not curve:
        return curve
    given = json.loads(curve)
    rows = [_texts(large, KEPT_PERCENTS[stop]) for stop in given["stops"]]
    for name in rows[0] if rows else ():
        same = {"delta": [""] * len(rows), "tone": ["same"] * len(rows)}
        given["tiles"][name] = {part: [row[name][part] for row in rows] for part in ("value", "caption")} | same
    return json.dumps(given, separators=(",", ":"), allow_nan=False)


def _texts(large: Large, percent: str) -> dict[str, dict[str, str]]:
    """Tile -> value and caption."""
    found, scores = at_share(large.points, share_of(percent)), large.n_lists * N_ITEMS
    if not found:
        unknown = {"value": "not measured", "caption": ""}
        return dict.fromkeys(("size_bytes", "postings", "p50_ms", "p95_ms", "parts"), unknown)
    (point,) = found
    sign = "≈ " if point.setting.startswith("≈") else ""
    return {
        "size_bytes": {"value": sign + figure_text("size_bytes", point.size_bytes), "caption": f"{large.n_lists:,} lists"},
        "postings": {"value": figure_text("postings", round(point.share * scores)), "caption": f"of {scores:,}"},
        "p50_ms": {"value": sign + figure_text("p50_ms", point.p50_ms), "caption": "1 thread"},
        "parts": {"value": f"{sign}{point.encode_ms:.2f} + {point.p50_ms - point.encode_ms:.2f}", "caption": "ms: encoding, and search"},
        "p95_ms": {"value": "not measured", "caption": f"finds {found_text(point.found)} of its exact top {FOUND_K}"},
    }
