"""The figures of the Index Explorer: recall, size, codes, latency; each with its difference to the pinned run or the preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.charts.threshold_columns import parts_text, precision_text, timing_text
from app.components.figure_tiles import Tile
from app.measured.curve import TimedLatency
from app.measured.figures import NO_DELTA, Delta, Figures, delta, figure_text, figures_of
from app.measured.measured_index import MeasuredIndex
from app.measured.recorded_figures import KIND, RecordedFigures
from app.session.run_history import PinnedRun
from sparcode.metrics.evaluation import ExplorerPoint

# Widths of the tiles of the index, and of those of the latency.
TILE_COLUMNS: Final = (3, 2)
PARTS_LABEL: Final = "Encode + codes + lists + top-k"


def index_tiles(
    measured: MeasuredIndex, point: ExplorerPoint, stop: int, pinned: PinnedRun | None, preview: MeasuredIndex | None
) -> list[Tile]:
    """All figures but the latency, with differences to the pinned run, else to the preview of a fine-tuned model."""
    figures, before = figures_of(measured, stop), None
    if pinned is not None:
        before = pinned.figures
    elif has_preview(measured, preview):
        before = figures_of(preview, stop)
    k, usage, size = measured.explorer.k, measured.usage, measured.config.quantizer.codebook_size
    share = float(usage.dead_share.mean())
    dead = f" · {figure_text('dead_share', share)} unused" if share > 0 else ""
    books = " / ".join(f"{value:.0f}" for value in usage.perplexity)
    tiles = [
        _tile("recall", f"Recall@{k}", figures, before, f"{len(measured.explorer.evaluation.queries):,} test users"),
        _tile("ndcg", f"NDCG@{k}", figures, before, precision_text(point.precision)),
        _tile("size_bytes", "Index size", figures, before, f"{usage.n_lists:,} lists"),
        _tile("postings", "Scores kept", figures, before, f"of {usage.n_lists * measured.explorer.index.n_items:,}"),
        Tile(
            "codes_in_use",
            "Codes in use",
            measured.called,
            f"{usage.codes_in_use:,}",
            f"of {possible_codes(measured)} possible",
            _count_delta(figures, before),
        ),
        _tile("perplexity", "Perplexity", figures, before, f"of {size}: {books}{dead}"),
    ]
    if measured.complete:
        return tiles
    building = {"size_bytes", "postings"}
    return [tile._replace(value="building", delta=NO_DELTA) if tile.name in building else tile for tile in tiles]


def latency_tiles(measured: MeasuredIndex, timed: TimedLatency | None, pinned: PinnedRun | None) -> list[Tile]:
    """Median, 95th percentile and parts of single queries; without values until the whole index is built and timed."""
    if timed is None:
        names = (("p50_ms", "Latency, median"), ("p95_ms", "Latency, p95"), ("parts", PARTS_LABEL))
        return [Tile(name, label, measured.called, "timing" if measured.complete else "building", "", NO_DELTA) for name, label in names]
    latency = timed.latency
    before = None if pinned is None else pinned.figures
    tiles = []
    for name, label, value, caption in (
        ("p50_ms", "Latency, median", latency.p50_ms, f"{latency.threads} thread"),
        ("p95_ms", "Latency, p95", latency.p95_ms, timing_text(timed)),
    ):
        change = delta(name, value, None if before is None else getattr(before, name))
        tiles.append(Tile(name, label, measured.called, figure_text(name, value), caption, change))
    parts = Tile("parts", PARTS_LABEL, measured.called, parts_text(timed.parts), "ms, medians")
    return [*tiles, parts]


def recorded_tiles(recorded: RecordedFigures, columns: Mapping[str, Any], stop: int) -> list[Tile]:
    """The same tiles of recorded figures, those of the latency last.

    `columns` are what the slider shows at every stop, as `app.charts.threshold_columns` gives them: a latency that was not timed at a stop
    is interpolated there.
    """
    usage, size, row = recorded.usage, recorded.config.quantizer.codebook_size, recorded.row(stop)
    books = " / ".join(f"{value:.0f}" for value in usage.perplexity)
    texts = {name: {part: values[row] for part, values in tile.items()} for name, tile in columns["tiles"].items()}

    def moving(name: str, label: str, caption: str) -> Tile:
        told = {"caption": caption, "delta": "", "tone": "same"} | texts[name]
        return Tile(name, label, KIND, told["value"], told["caption"], Delta(told["delta"], told["tone"]))

    return [
        moving("recall", f"Recall@{recorded.k}", f"{recorded.n_queries:,} test users"),
        moving("ndcg", f"NDCG@{recorded.k}", ""),
        moving("size_bytes", "Index size", f"{usage.n_lists:,} lists"),
        moving("postings", "Scores kept", ""),
        Tile("codes_in_use", "Codes in use", KIND, f"{usage.codes_in_use:,}", f"of {_count_text(usage.possible_codes)} possible"),
        Tile("perplexity", "Perplexity", KIND, figure_text("perplexity", float(usage.perplexity.mean())), f"of {size}: {books}"),
        moving("p50_ms", "Latency, median", "1 thread"),
        moving("p95_ms", "Latency, p95", ""),
        moving("parts", PARTS_LABEL, "ms, medians"),
    ]


def has_preview(measured: MeasuredIndex, preview: MeasuredIndex | None) -> bool:
    """Whether there is a preview to compare a fine-tuned model's figures with."""
    return preview is not None and preview is not measured and preview.complete


def possible_codes(measured: MeasuredIndex) -> str:
    """K**M in digits, rounded if it is long."""
    return _count_text(measured.usage.possible_codes)


def _count_text(count: int) -> str:
    return f"{count:,}" if count < 10**9 else f"{count:.1e}"


def _tile(name: str, label: str, figures: Figures, before: Figures | None, caption: str) -> Tile:
    value = getattr(figures, name)
    change = delta(name, value, None if before is None else getattr(before, name))
    return Tile(name, label, figures.kind, figure_text(name, value), caption, change)


def _count_delta(figures: Figures, before: Figures | None) -> Delta:
    # More codes in use are neither better nor worse.
    return NO_DELTA if before is None else delta("distinct_codes", figures.codes_in_use, before.codes_in_use)._replace(tone="same")
