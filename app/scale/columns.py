"""What follows the threshold on the page while it is dragged: SparCode on every catalogue size, at every stop of the slider."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from app.charts.follow import SizeColumn
from app.components.figure_tiles import Tile
from app.measured.figures import Delta
from app.measured.scale_words import SAME, found_text, ratio_text, sign_of, time_text
from app.measured.threshold_stops import KEPT_PERCENTS, share_of
from sparcode.comparison.found_share import FOUND_K
from sparcode.comparison.grown_ways import LeftOut
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import at_share
from sparcode.comparison.peers import FLAT, SPARCODE
from sparcode.comparison.table import readable_bytes

_DIGITS: Final = 6
_NONE: Final = Delta("", "same")


def at_size(points: Sequence[GrowthPoint], n_items: int) -> dict[str, GrowthPoint]:
    """Way -> its point at a size; SparCode's points must be of one share."""
    return {point.name: point for point in points if point.n_items == n_items}


def absent_text(left_out: Sequence[LeftOut], n_items: int, share: float) -> str:
    """Why SparCode has no figures at a size and share: this share, or a smaller one, would not fit, or nobody measured it."""
    of_size = [one for one in left_out if (one.name, one.n_items) == (SPARCODE, n_items)]
    # A model that cannot be grown has no share.
    return "does not fit" if any(math.isnan(one.share) or one.share <= share for one in of_size) else "not measured"


def tiles_at(points: Sequence[GrowthPoint], n_items: int, absent: str = "not measured") -> list[Tile]:
    """SparCode at a size, with the ratios to exact two-tower; `points` as from `at_share`, `absent` in place of missing figures."""
    found = at_size(points, n_items)
    ours, exact = found.get(SPARCODE), found.get(FLAT)
    if ours is None:
        return [Tile(name, label, "", absent, "", _NONE) for name, label in _labels(n_items)]
    sign = sign_of(ours)
    values = (
        (sign + time_text(ours.p50_ms), "" if exact is None else f"exact two-tower {time_text(exact.p50_ms)}"),
        (sign + readable_bytes(ours.size_bytes), "" if exact is None else f"exact two-tower {readable_bytes(exact.size_bytes)}"),
        (sign + found_text(ours.found), f"of its exact top {FOUND_K}"),
    )
    deltas = (_NONE, _NONE, _NONE)
    if exact is not None:
        deltas = (_delta(ours.p50_ms / exact.p50_ms), _delta(ours.size_bytes / exact.size_bytes), _NONE)
    return [
        Tile(name, label, "", value, caption, delta)
        for (name, label), (value, caption), delta in zip(_labels(n_items), values, deltas, strict=True)
    ]


def scale_columns(points: Sequence[GrowthPoint], n_items: int, version: str, left_out: Sequence[LeftOut] = ()) -> str:
    """Columns and texts of every stop, in the form of `app.charts.threshold_columns`.

    ``columns`` hold, for each stop, SparCode's values at all sizes, null where it has none; tiles are those of `tiles_at`.
    """
    return _scale_columns(tuple(points), n_items, version, tuple(left_out))


@lru_cache(maxsize=32)
def _scale_columns(points: tuple[GrowthPoint, ...], n_items: int, version: str, left_out: tuple[LeftOut, ...]) -> str:
    sizes = sorted({point.n_items for point in points})
    stops, captions = [], []
    columns: dict[str, list[Any]] = {column: [] for column in _VALUES}
    tiles: dict[str, dict[str, list[str]]] = {}
    others = [point for point in points if point.n_items == n_items and point.name == FLAT]
    ours = [point for point in points if point.name == SPARCODE]
    for stop, percent in enumerate(KEPT_PERCENTS):
        chosen = at_share(ours, share_of(percent))
        stops.append(stop)
        by_size = {point.n_items: point for point in chosen}
        for column, value in _VALUES.items():
            columns[column].append([_plain(value(by_size[size])) if size in by_size else None for size in sizes])
        between = any(point.setting.startswith("≈") for point in chosen)
        how = ", ≈ between measured shares" if between else ", measured" if chosen else ", not measured at any size"
        captions.append(f"{percent} % of scores kept{how}")
        for tile in tiles_at([*chosen, *others], n_items, absent_text(left_out, n_items, share_of(percent))):
            texts = {"value": tile.value, "caption": tile.caption, "delta": tile.delta.text, "tone": tile.delta.tone}
            for name, text in texts.items():
                tiles.setdefault(tile.name, {}).setdefault(name, []).append(text)
    shown = {"version": version, "stops": stops, "columns": columns, "tiles": tiles, "captions": captions}
    return json.dumps(shown, separators=(",", ":"), allow_nan=False)


_VALUES: Final = {
    SizeColumn.MS: lambda point: point.p50_ms,
    SizeColumn.MB: lambda point: point.size_bytes / 1e6,
    SizeColumn.SECONDS: lambda point: point.build_seconds,
    SizeColumn.FOUND: lambda point: point.found,
}


def _labels(n_items: int) -> tuple[tuple[str, str], ...]:
    return (
        ("scale_ms", f"Time per query at {n_items:,} items"),
        ("scale_mb", f"Memory at {n_items:,} items"),
        ("scale_found", "Share found"),
    )


def _plain(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if value == value else None


def _delta(ratio: float) -> Delta:
    words = ratio_text(ratio)
    return Delta(words, "same" if words == SAME else "better" if ratio < 1 else "worse")
