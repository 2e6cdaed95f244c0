"""Recorded figures of an index as the description holds them, and back: columns of its curve, use of codes, latencies."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from app.measured.curve import N_BINS, Curve, TimedLatency
from app.measured.measured_index import MeasuredIndex
from app.measured.recorded_figures import RecordedFigures
from app.measured.threshold_stops import KEPT_PERCENTS
from app.models.trained import Recording
from app.recorded.files import DESCRIPTION, FiguresEntry, plain
from sparcode.config import QuantizerConfig, RunConfig
from sparcode.metrics.evaluation import CodeUsage

# Enough for every digit that a page shows.
_DIGITS: Final = 6
_COLUMNS: Final = tuple(name for name in Curve._fields if name != "lengths")
_TIMED: Final = TypeAdapter(TimedLatency)


def described_curve(curve: Curve) -> dict[str, list[float | None]]:
    """The columns of a curve for JSON."""
    return {name: [_short(value) for value in getattr(curve, name).tolist()] for name in _COLUMNS}


def described_usage(usage: CodeUsage) -> dict[str, Any]:
    """The use of codes for JSON, without the counts of single codewords."""
    told = usage._asdict()
    del told["counts"]
    return told | {name: [_short(value) for value in getattr(usage, name).tolist()] for name in ("perplexity", "dead_share")}


def described_latencies(measured: MeasuredIndex) -> list[tuple[int, dict[str, Any]]]:
    """Stops and their latencies for JSON."""
    return [(stop, _shortened(plain(timed))) for stop, timed in measured.latencies().items()]


def read_figures(entry: FiguresEntry, config: RunConfig) -> RecordedFigures:
    """The figures of an entry, whose network, training and data are those of `config`; ValueError if they make no sense."""
    n_stops = len(KEPT_PERCENTS)
    if set(entry.curve) != set(_COLUMNS) or any(len(column) != n_stops for column in entry.curve.values()):
        raise ValueError(f"{DESCRIPTION} holds a curve without {n_stops} values of each of {', '.join(_COLUMNS)}")
    empty = Curve.empty()
    columns = {
        name: np.array([np.nan if value is None else value for value in entry.curve[name]]).astype(getattr(empty, name).dtype)
        for name in _COLUMNS
    }
    quantizer = QuantizerConfig.model_validate(entry.config["quantizer"])
    usage = {**entry.usage, **{name: np.array(entry.usage[name], dtype=np.float64) for name in ("perplexity", "dead_share")}}
    facts = entry.facts.model_dump()
    return RecordedFigures(
        config=config.model_copy(update={"quantizer": quantizer}),
        curve=Curve(**columns, lengths=np.zeros((n_stops, N_BINS), dtype=np.int64)),
        usage=CodeUsage(counts=np.zeros((quantizer.n_codebooks, 0), dtype=np.int64), **usage),
        timed={stop: _TIMED.validate_python(row) for stop, row in entry.latencies},
        recording=Recording(facts.pop("day"), facts.pop("machine")),
        **facts,
    )


def _short(value: float) -> float | None:
    if isinstance(value, int):
        return value
    return None if value != value else float(f"{value:.{_DIGITS}g}")


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(part) for name, part in value.items()}
    return _short(value) if isinstance(value, float) else value
