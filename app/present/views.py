"""What a presentation shows: four large numbers with two charts, then one chart, row of figures or table at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from app.charts.code_usage import code_usage_data, code_usage_figure
from app.charts.frame import Figure
from app.charts.growth import growth_figure, time_data
from app.charts.list_lengths import list_lengths_data, list_lengths_figure
from app.charts.memory_parts import memory_parts_data, memory_parts_figure
from app.charts.recall_latency import recall_latency_data, recall_latency_figure
from app.charts.recall_size import recall_size_data, recall_size_figure, trade_off
from app.charts.score_cut import score_cut_data, score_cut_figure
from app.charts.takeaways import accuracy_takeaway
from app.charts.threshold_curve import threshold_curve_data, threshold_curve_figure
from app.measured.figures import figure_text, figures_of
from app.measured.measured_index import MeasuredIndex
from app.measured.scale_words import ENOUGH, headline
from app.report.entry import Chart, Entry, Table, plain
from app.report.html_file import cell_text
from app.report.words import origin_line
from app.session.configuration import label_of
from app.studio import Studio
from sparcode.comparison.growth_lines import at_enough

# Rows and columns of a table that can be read from the back of a room.
MOST_ROWS: Final = 10
MOST_COLUMNS: Final = 7
MOST_TILES: Final = 8

# As the browser takes it: title, note, tiles, figures (JSON), table, foot.
View = dict[str, Any]


def run_views(measured: MeasuredIndex, stop: int, studio: Studio, dark: bool) -> tuple[View, list[View]]:
    """The first view of a measured index at one threshold, and one for each of its charts; nothing is computed but the charts."""
    point, backbone = measured.point(stop), studio.backbones.of(measured.config)
    foot = _foot(measured, studio)
    charts = [(figure, plain(figure.layout["title"]["text"])) for figure in _figures(measured, stop, studio, dark)]
    said = accuracy_takeaway(point.recall, 100 * point.density, backbone.recall if backbone else None)
    first = {
        **_view(f"{said}, in an index of {figure_text('size_bytes', point.total_bytes)}", foot),
        "tiles": _numbers(measured, stop),
        "figures": [figure.to_json() for figure, _ in charts[:2]],
    }
    views = [{**_view(title, foot), "figures": [figure.to_json()]} for figure, title in charts]
    # Of another setting it would say nothing about this one.
    grown = studio.scaling.widest(measured.config)
    if grown is not None:
        chosen, words = at_enough(grown.points, ENOUGH), headline(grown.points)
        figure = growth_figure(time_data(chosen, grown.n_items), dark)
        where = f"on {grown.machine}" if grown.recording is None else grown.recording.words
        where += f", {grown.load_words}" if grown.load_words else ""
        foot = f"{_subject(grown.kind, measured, studio)} Catalogue grown from its {grown.n_items:,} items. Measured {where}."
        views.append({**_view(words, foot), "figures": [figure.to_json()]})
    return first, views


def report_views(entries: Sequence[Entry], dark: bool) -> list[View]:
    """One view for each entry of a report, with its title and note."""
    return [_entry_view(entry, dark) for entry in entries]


def _view(title: str, foot: str, note: str = "") -> View:
    return {"title": title, "note": note, "tiles": [], "figures": [], "table": None, "foot": foot}


def _entry_view(entry: Entry, dark: bool) -> View:
    content, view = entry.content, _view(entry.title, origin_line(entry), entry.note)
    if isinstance(content, Chart):
        view["figures"] = [content.dark if dark else content.light]
    elif isinstance(content, Table):
        rows = [[cell_text(cell) for cell in row[:MOST_COLUMNS]] for row in content.rows[:MOST_ROWS]]
        view["table"] = {"columns": list(content.columns[:MOST_COLUMNS]), "rows": rows}
        if len(content.rows) > MOST_ROWS or len(content.columns) > MOST_COLUMNS:
            view["foot"] = f"The first {len(rows)} of {len(content.rows):,} rows. {view['foot']}"
    else:
        view["tiles"] = [_tile(tile.label, tile.value, tile.caption) for tile in content[:MOST_TILES]]
    return view


def _tile(label: str, value: str, caption: str) -> dict[str, str]:
    return {"label": label, "value": value, "caption": caption}


def _numbers(measured: MeasuredIndex, stop: int) -> list[dict[str, str]]:
    """Accuracy, size, time and sparsity; the codes in use where no query was timed."""
    figures, timed, point = figures_of(measured, stop), measured.latencies(), measured.point(stop)
    explorer, usage = measured.explorer, measured.usage
    if timed:
        # Times are measured at the thresholds that somebody looked at.
        near = min(timed, key=lambda other: abs(other - stop))
        about = "" if near == stop else f", at {100 * measured.point(near).density:.3g} % kept"
        third = _tile("Time of a query, median", figure_text("p50_ms", timed[near].latency.p50_ms), f"one thread{about}")
    else:
        third = _tile("Codes in use", f"{usage.codes_in_use:,}", f"of {usage.possible_codes:,} possible")
    return [
        _tile(f"Recall@{explorer.k}", figure_text("recall", figures.recall), f"{len(explorer.evaluation.queries):,} test users"),
        _tile("Index size", figure_text("size_bytes", figures.size_bytes), f"{usage.n_lists:,} lists"),
        third,
        _tile("Scores kept", f"{100 * point.density:.3g} %", f"{point.kept_postings:,} scores"),
    ]


def _figures(measured: MeasuredIndex, stop: int, studio: Studio, dark: bool) -> list[Figure]:
    point, curve, backbone = measured.point(stop), measured.curve, studio.backbones.of(measured.config)
    k, index, now = measured.explorer.k, measured.explorer.index, (point.density, point.recall, point.ndcg)
    ceiling = backbone.recall if backbone else None
    line = trade_off(f"{label_of(measured.config)} {measured.called}", curve.size_bytes, curve.recall)
    timed = measured.latencies()
    made = [
        threshold_curve_figure(threshold_curve_data((curve.tau, curve.density, curve.recall, curve.ndcg), now, ceiling, k, None), dark),
        recall_size_figure(recall_size_data(line, [], (point.total_bytes, point.recall), k), dark),
    ]
    if timed:
        columns = (
            np.array([one.latency.p50_ms for one in timed.values()], dtype=np.float64),
            np.array([measured.point(at).recall for at in timed], dtype=np.float64),
            np.array([one.busy for one in timed.values()], dtype=bool),
        )
        current = (timed[stop].latency.p50_ms, point.recall) if stop in timed else None
        made.append(recall_latency_figure(recall_latency_data(columns, current, k, None, ()), dark))
    return [
        *made,
        score_cut_figure(score_cut_data(measured.scores.edges, measured.scores.counts, point.tau), dark),
        list_lengths_figure(list_lengths_data(point.list_lengths, index.n_items), dark),
        memory_parts_figure(memory_parts_data(point.size_bytes), dark),
        code_usage_figure(code_usage_data(measured.usage.counts, measured.usage.perplexity), dark),
    ]


def _foot(measured: MeasuredIndex, studio: Studio) -> str:
    return f"{_subject(measured.called, measured, studio)} Measured on {studio.machine}."


def _subject(kind: str, measured: MeasuredIndex, studio: Studio) -> str:
    """Which model of the setting, and which data, figures are of."""
    data = studio.interactions
    run = f"Run {studio.run_name}. " if studio.run_name else ""
    made_up = ", made up by this project" if data.synthetic else ""
    return f"{run}{kind}, {label_of(measured.config)}, seed {measured.config.training.seed}. {data.name}{made_up}."
