"""The measured curve of an index for the browser: one row per measured stop, with all that follows the threshold while it is dragged.

A stop that is not measured has no row. Of latencies, few stops are timed: texts in between are interpolated and marked by "≈", charts show
none there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from app.charts.follow import Column
from app.charts.list_lengths import median_text, median_top
from app.charts.takeaways import accuracy_takeaway, memory_takeaway, most_accurate, size_takeaway
from app.measured.curve import Curve, TimedLatency
from app.measured.figures import Delta, Figures, delta, figure_text
from app.measured.measured_index import MeasuredIndex
from app.measured.recorded_figures import RecordedFigures
from sparcode.index.inverted_index import size_of_parts

Source = MeasuredIndex | RecordedFigures
# Enough digits for a point on a screen; the figures on release are exact.
_DIGITS: Final = 6
_UNKNOWN: Final = Delta(figure_text("recall", None), "same")
# What was drawn last of an index, and what it depended on beside the index: most visitors see the same.
_drawn: Final[WeakKeyDictionary[Source, tuple[object, str]]] = WeakKeyDictionary()
MOVING_TILES: Final = ("recall", "ndcg", "size_bytes", "postings", "p50_ms", "p95_ms", "parts")
ABOUT: Final = "≈ "


def threshold_columns(measured: Source, pinned: Figures | None, preview: MeasuredIndex | None = None, ceiling: float | None = None) -> str:
    """All columns and texts as JSON, cached until something of them changes; the curve may be partly measured, or recorded.

    Deltas are relative to the figures of `pinned`, else to those of `preview` at the same stop: an ellipsis where it
    is not measured there, which the server does on release. `ceiling` is the recall without codes, None if it is unknown.

    ``version``: of the index; ``stops``: (n,) positions; ``columns``: name -> n values, arrays of values, or null; ``tiles``: name -> n
    values, deltas, tones and, for some, captions; ``captions``: n texts.
    """
    timed = measured.latencies()
    depends = (tuple(timed.items()), pinned, ceiling, None if preview is None else (preview.version, len(preview.curve.stops)))
    drawn = _drawn.get(measured)
    if drawn is None or drawn[0] != depends:
        drawn = _drawn[measured] = (depends, _threshold_columns(measured, timed, pinned, preview, ceiling))
    return drawn[1]


def _threshold_columns(
    measured: Source,
    timed: Mapping[int, TimedLatency],
    pinned: Figures | None,
    preview: MeasuredIndex | None,
    ceiling: float | None,
) -> str:
    curve = measured.curve
    known = [timed.get(stop) for stop in curve.stops.tolist()]
    figures: dict[str, list[float | None]] = {
        "recall": curve.recall.tolist(),
        "ndcg": curve.ndcg.tolist(),
        "size_bytes": curve.size_bytes.tolist(),
        "postings": curve.postings.tolist(),
        "p50_ms": [None if one is None else one.latency.p50_ms for one in known],
        "p95_ms": [None if one is None else one.latency.p95_ms for one in known],
    }
    stops = curve.stops.tolist()
    tiles: dict[str, dict[str, list[str]]] = {
        name: _texts(name, values, _deltas(name, measured, values, pinned, preview)) for name, values in figures.items()
    }
    tiles["ndcg"]["caption"] = [precision_text(value) for value in curve.precision.tolist()]
    tiles["p95_ms"]["caption"] = [between(timed) if one is None else timing_text(one) for one in known]
    for name in ("p50_ms", "p95_ms"):
        about = _interpolated(timed, stops, lambda one, name=name: [getattr(one.latency, name)])
        tiles[name]["value"] = [
            text if guess is None else ABOUT + figure_text(name, guess[0]) for text, guess in zip(tiles[name]["value"], about, strict=True)
        ]
    tiles["parts"] = {"value": _parts_texts(timed, stops)}
    return json.dumps(
        {
            "version": measured.version,
            "stops": curve.stops.tolist(),
            "columns": _columns(measured, known) | _titles(measured.curve, measured.n_lists, ceiling),
            "tiles": tiles,
            "captions": [
                f"τ = {tau:.4g} keeps {figure_text('density', share)} of all scores"
                + (f"; {short:,} queries get too few items" if short else "")
                for tau, share, short in zip(curve.tau.tolist(), curve.density.tolist(), curve.short_results.tolist(), strict=True)
            ],
        },
        separators=(",", ":"),
        allow_nan=False,
    )


def precision_text(precision: float) -> str:
    """The caption under NDCG."""
    return f"precision {figure_text('precision', precision)}"


def timing_text(timed: TimedLatency) -> str:
    """The caption under the 95th percentile of the latency."""
    return "jobs ran beside it" if timed.busy else f"{timed.latency.n_calls} queries"


def parts_text(parts: Sequence[float] | None) -> str:
    """The parts of a query's time, `LatencyParts`, as a sum; an ellipsis where they are unknown."""
    return "…" if parts is None else " + ".join(f"{value:.2f}" for value in parts)


def between(timed: Mapping[int, TimedLatency]) -> str:
    """The caption of a latency that is interpolated; empty where it is not known at all."""
    return "between timed ones" if len(timed) > 1 else ""


def _parts_texts(timed: Mapping[int, TimedLatency], stops: Sequence[int]) -> list[str]:
    known = {stop: one for stop, one in timed.items() if one.parts is not None}
    about = _interpolated(known, stops, lambda one: one.parts)
    return [
        parts_text(known[stop].parts if stop in known else None) if guess is None else ABOUT + parts_text(guess)
        for stop, guess in zip(stops, about, strict=True)
    ]


def _interpolated(
    timed: Mapping[int, TimedLatency], stops: Sequence[int], values: Callable[[TimedLatency], Sequence[float]]
) -> list[list[float] | None]:
    """Values of a latency at stops between two timed ones, in proportion; None at timed stops and outside."""
    known = sorted(timed)
    if len(known) < 2:
        return [None] * len(stops)
    table = np.array([values(timed[stop]) for stop in known], dtype=np.float64)
    at = [np.interp(stops, known, column) for column in table.T]
    return [
        None if stop in timed or not known[0] < stop < known[-1] else [float(column[row]) for column in at]
        for row, stop in enumerate(stops)
    ]


def _columns(measured: Source, known: list[TimedLatency | None]) -> Mapping[Column, Any]:
    curve: Curve = measured.curve
    n_lists = measured.n_lists
    parts = [size_of_parts(n_lists, postings) for postings in curve.postings.tolist()]
    return {
        Column.TAU: _rounded(curve.tau),
        # A logarithmic axis cannot show a share of 0.
        Column.PERCENT: [value or None for value in _rounded(100 * curve.density)],
        Column.RECALL: _rounded(curve.recall),
        Column.NDCG: _rounded(curve.ndcg),
        Column.MEGABYTES: _rounded(curve.size_bytes / 1e6),
        Column.P50: [None if one is None else round(one.latency.p50_ms, _DIGITS) for one in known],
        Column.MEDIAN: _rounded(curve.median_length),
        Column.MEDIAN_TOP: [median_top(counts) for counts in curve.lengths],
        Column.MEDIAN_TEXT: [median_text(value) for value in curve.median_length.tolist()],
        Column.LENGTHS: curve.lengths.tolist(),
        **{Column.of_part(name): [part[name] / 1e6 for part in parts] for name in size_of_parts(0, 0)},
    }


def _titles(curve: Curve, n_lists: int, ceiling: float | None) -> dict[Column, list[str]]:
    """Takeaways at every stop, as the figures have them."""
    sizes = (curve.size_bytes / 1e6).tolist()
    best = most_accurate(curve.size_bytes / 1e6, curve.recall)
    parts = [size_of_parts(n_lists, postings) for postings in curve.postings.tolist()]
    return {
        Column.ACCURACY_TITLE: [
            accuracy_takeaway(recall, 100 * share, ceiling)
            for recall, share in zip(curve.recall.tolist(), curve.density.tolist(), strict=True)
        ],
        Column.SIZE_TITLE: [size_takeaway(point, best) for point in zip(sizes, curve.recall.tolist(), strict=True)],
        Column.MEMORY_TITLE: [memory_takeaway({name: size / 1e6 for name, size in part.items()}) for part in parts],
    }


def _rounded(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64).tolist()]


def _deltas(name: str, measured: Source, values: list[float | None], pinned: Figures | None, preview: MeasuredIndex | None) -> list[Delta]:
    # As on the tiles, latencies are compared with those of a pinned run only.
    if pinned is not None or preview is None or name in ("p50_ms", "p95_ms"):
        before = None if pinned is None else getattr(pinned, name)
        return [delta(name, value, before) for value in values]
    known = dict(zip(preview.curve.stops.tolist(), getattr(preview.curve, name).tolist(), strict=True))
    return [
        delta(name, value, known[stop]) if stop in known else _UNKNOWN
        for stop, value in zip(measured.curve.stops.tolist(), values, strict=True)
    ]


def _texts(name: str, values: list[float | None], deltas: list[Delta]) -> dict[str, list[str]]:
    return {
        "value": [figure_text(name, value) for value in values],
        "delta": [one.text for one in deltas],
        "tone": [one.tone for one in deltas],
    }
