"""Charts of accuracy, index size and latency over the threshold, with the pinned run and other models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.charts.recall_latency import recall_latency_data, recall_latency_figure
from app.charts.recall_size import Peer, TradeOff, recall_size_data, recall_size_figure, trade_off
from app.charts.threshold_curve import PinnedCurve, threshold_curve_data, threshold_curve_figure
from app.charts.training_curve import training_curve_data, training_curve_figure
from app.components.live_chart import live_chart
from app.explorer.controls import run_history
from app.measured.measured_index import MeasuredIndex
from app.measured.rivals import rivals
from app.session.chosen_data import chosen_config
from app.session.configuration import label_of
from app.session.run_history import PinnedRun
from app.studio import Studio
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, TWO_TOWER
from sparcode.metrics.evaluation import ExplorerPoint
from sparcode.training.epoch_record import EpochRecord

# Other peers have no index to compare with.
_PEERS = (ALL_TO_ALL, TWO_TOWER)


def training_chart(title: str, records: Sequence[EpochRecord], pinned: PinnedRun | None = None) -> None:
    """Loss, validation recall and perplexity of a training run, live."""
    alt = f"{title}: no epoch yet"
    if records:
        last = records[-1]
        alt = f"{title}: epoch {last.epoch}, validation recall {last.recall:.3f}, started at {records[0].recall:.3f}"
    before = pinned.measured.records if pinned is not None and pinned.measured.records != tuple(records) else None
    live_chart(training_curve_figure, training_curve_data(title, records, before), "chart-training", alt)


def accuracy_chart(measured: MeasuredIndex, point: ExplorerPoint, studio: Studio, pinned: PinnedRun | None) -> None:
    """Recall and NDCG over the thresholds."""
    curve, backbone = measured.curve, studio.backbones.of(measured.config)
    ghost = None
    if pinned is not None:
        there = (100 * pinned.point.density, pinned.point.recall) if pinned.point.density > 0 else None
        line = pinned.measured.curve
        # A logarithmic axis cannot show an empty index.
        kept = (line.density > 0) & (pinned.measured is not measured)
        ghost = PinnedCurve(100 * line.density[kept], line.recall[kept], there)
    columns = (curve.tau, curve.density, curve.recall, curve.ndcg)
    now = (point.density, point.recall, point.ndcg)
    live_chart(
        threshold_curve_figure,
        threshold_curve_data(columns, now, backbone.recall if backbone else None, measured.explorer.k, ghost),
        "chart-threshold",
        f"Recall and NDCG against the threshold. Now: recall {point.recall:.3f} with {point.density:.1%} of scores kept." + _beside(pinned),
    )


def size_chart(measured: MeasuredIndex, point: ExplorerPoint, studio: Studio, pinned: PinnedRun | None) -> None:
    """Recall over bytes."""
    # Only this visitor's runs, not those of others on the same server.
    mine = {chosen_config(run.configuration, studio.config).content_hash() for run in run_history(studio.scope).runs}
    others = [
        _line(other)
        for other in studio.indexes.all()
        if other.complete and other is not measured and not _is(other, pinned) and other.config.content_hash() in mine
    ]
    current = (point.total_bytes, point.recall) if measured.complete else None
    ghost = None
    if pinned is not None:
        line = _line(pinned.measured) if pinned.measured is not measured else trade_off("", np.zeros(0), np.zeros(0))
        ghost = (line, (pinned.point.total_bytes, pinned.point.recall))
    peers = tuple(Peer(row.name, _short(row, measured, studio), float(row.size_bytes), row.recall) for row in _peers(studio))
    live_chart(
        recall_size_figure,
        recall_size_data(_line(measured), others, current, measured.explorer.k, ghost, peers),
        "chart-size",
        f"Recall against index size. Now: recall {point.recall:.3f} at {point.total_bytes / 1e6:.2f} MB." + _beside(pinned),
    )


def latency_chart(measured: MeasuredIndex, stop: int, studio: Studio, pinned: PinnedRun | None) -> None:
    """Recall over the time of a query, at the thresholds that were timed."""
    timed = measured.latencies()
    current = (timed[stop].latency.p50_ms, measured.point(stop).recall) if stop in timed else None
    ghost = None
    if pinned is not None:
        p50_ms = pinned.figures.p50_ms
        point = None if p50_ms is None else (p50_ms, pinned.point.recall)
        ghost = (np.array(_timed(pinned.measured)[:2]) if pinned.measured is not measured else np.zeros((2, 0)), point)
    peers = tuple(Peer(row.name, _short(row, measured, studio), row.p50_ms.middle, row.recall) for row in _peers(studio))
    said = f" Now: recall {current[1]:.3f} in {current[0]:.3f} ms." if current else ""
    live_chart(
        recall_latency_figure,
        recall_latency_data(_timed(measured), current, measured.explorer.k, ghost, peers),
        "chart-latency",
        f"Recall against the median time of a query, at {len(timed)} timed thresholds.{said}" + _beside(pinned),
    )


def _beside(pinned: PinnedRun | None) -> str:
    return "" if pinned is None else f" Pinned: recall {pinned.point.recall:.3f} at {pinned.point.total_bytes / 1e6:.2f} MB."


def _peers(studio: Studio) -> list[Measurement]:
    result = studio.serving.result(studio.config)
    points = [] if result is None else [row.point for row in rivals(result.points)]
    # Flat gives two-tower's own results.
    return [point._replace(name=TWO_TOWER) if point.name == FLAT else point for point in points if point.name.startswith(_PEERS)]


def _short(row: Measurement, measured: MeasuredIndex, studio: Studio) -> str:
    # All faiss indexes hold two-tower's vectors; the legend names two-tower itself.
    name = row.name.removeprefix(f"{TWO_TOWER} ")
    notes = []
    # Peers have the studio's own settings.
    if measured.config.model.encoder != studio.config.model.encoder:
        notes.append(studio.config.model.encoder)
    if measured.config.training.seed != studio.config.training.seed:
        notes.append(f"seed {studio.config.training.seed}")
    # Recorded latencies are those of another machine.
    result = studio.serving.result(studio.config)
    if result is not None and result.recording is not None:
        notes.append("recorded")
    return f"{name} ({', '.join(notes)})" if notes else name


def _timed(measured: MeasuredIndex) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    known = measured.latencies()
    p50_ms = np.array([timed.latency.p50_ms for timed in known.values()], dtype=np.float64)
    recall = np.array([measured.point(stop).recall for stop in known], dtype=np.float64)
    return p50_ms, recall, np.array([timed.busy for timed in known.values()], dtype=bool)


def _is(measured: MeasuredIndex, pinned: PinnedRun | None) -> bool:
    return pinned is not None and measured is pinned.measured


def _line(measured: MeasuredIndex) -> TradeOff:
    empty = measured.curve.size_bytes[:0], measured.curve.recall[:0]
    return trade_off(
        f"{label_of(measured.config)} {measured.called}",
        *((measured.curve.size_bytes, measured.curve.recall) if measured.complete else empty),
    )
