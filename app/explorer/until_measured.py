"""What the Explorer shows of a setting that has no figures yet: those recorded for it, and in grey those of the setting before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import streamlit as st

from app.charts.recall_latency import recall_latency_data, recall_latency_figure
from app.charts.recall_size import recall_size_data, recall_size_figure, trade_off
from app.charts.threshold_columns import threshold_columns
from app.charts.threshold_curve import threshold_curve_data, threshold_curve_figure
from app.components.figure_tiles import Tile, figure_tiles
from app.components.first_visit import backbone_chart
from app.components.live_chart import charts_of, live_chart
from app.components.provenance import kind_badge
from app.explorer.tiles import TILE_COLUMNS, index_tiles, latency_tiles, recorded_tiles
from app.explorer.trade_off_charts import accuracy_chart, latency_chart, size_chart
from app.measured.figures import Figures, figure_text, figures_of
from app.measured.measured_index import MeasuredIndex
from app.measured.recorded_figures import KIND, RecordedFigures
from app.measured.setting_jobs import View
from app.session.chosen_data import chosen_config
from app.session.configuration import Configuration, label_of
from app.session.report import FiguresOf, figures_are_of
from app.studio import Studio
from sparcode.training.epoch_record import EpochRecord

# In the session: scope of a studio, and the last choice that had figures there.
_BEFORE: Final = "explorer_before"


def remember(chosen: Configuration, studio: Studio) -> None:
    """Keep a choice that has figures, as the setting before for those that have none yet."""
    st.session_state[_BEFORE] = (studio.scope, chosen)


def recorded_of(view: View, studio: Studio) -> RecordedFigures | None:
    """The recorded figures that stand in for a setting's own, until it has some; None where there are none or none are needed."""
    if view.measured is not None or studio.tuned.of(view.config) is not None:
        return None
    found = studio.recorded.figures(view.config)
    # Those of other codes help where a backbone is to be trained first; a preview is there within a second.
    return found if found is None or found.config == view.config or studio.backbones.of(view.config) is None else None


def recorded_columns(recorded: RecordedFigures, studio: Studio) -> str:
    """What the threshold's slider moves while recorded figures are shown; see `app.charts.threshold_columns`."""
    return threshold_columns(recorded, _figures_before(studio), None, recorded.backbone_recall)


def estimate(recorded: RecordedFigures | None) -> str:
    """How long the training may take, by the recorded one, in words; empty without one."""
    if recorded is None:
        return ""
    seconds = recorded.backbone_seconds
    return f" When it was recorded, the backbone took {seconds:.0f} s of one core ({recorded.backbone_epochs} epochs)."


def until_measured(recorded: RecordedFigures | None, chosen: Configuration, studio: Studio, epochs: Sequence[EpochRecord] | None) -> None:
    """Draw the recorded figures if there are some, the backbone's `epochs` so far, and in grey the figures of the setting before."""
    if recorded is not None:
        _recorded(recorded, chosen, studio, epochs)
    elif epochs is not None:
        backbone_chart(epochs)
    before, measured = _before(studio), _measured_before(studio)
    if before is None or measured is None:
        return
    figures_are_of(FiguresOf("Index Explorer", studio, measured.config, measured.called, kept=before.keep))
    point = measured.point(before.stop)
    st.caption(f"In grey the setting before: **{before.label}, {before.keep} % kept**, until this one has figures of its own.")
    with st.container(key="explorer-before"):
        _two_rows(
            _still(index_tiles(measured, point, before.stop, None, None)),
            _still(latency_tiles(measured, measured.latencies().get(before.stop), None)),
            "before",
            measured.version,
        )
        # The recorded charts have the line of the setting before.
        if recorded is None:
            with st.grid(3, min_column_width=380):
                accuracy_chart(measured, point, studio, None)
                size_chart(measured, point, studio, None)
                latency_chart(measured, before.stop, studio, None)


def recorded_beside(measured: MeasuredIndex, stop: int, studio: Studio) -> str:
    """The recorded figures of a setting that has its own by now, in one sentence; empty where there are none of it."""
    recorded = None if measured.recording is not None else studio.recorded.figures(measured.config)
    if recorded is None or recorded.config != measured.config:
        return ""
    then = recorded.figures(stop)
    return (
        f"Recorded {recorded.recording.day_words} for this setting and threshold: Recall@{recorded.k} "
        f"**{figure_text('recall', then.recall)}** at {figure_text('size_bytes', then.size_bytes)}, after {_epochs(recorded)}."
    )


def _recorded(recorded: RecordedFigures, chosen: Configuration, studio: Studio, epochs: Sequence[EpochRecord] | None) -> None:
    figures_are_of(FiguresOf("Index Explorer", studio, recorded.config, KIND, recorded.recording, kept=chosen.keep))
    version = f"{recorded.version} {chosen.keep}"
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(KIND, recorded.recording)
        st.markdown(_about(recorded, chosen, studio))
    tiles = recorded_tiles(recorded, json.loads(recorded_columns(recorded, studio)), chosen.stop)
    _two_rows(tiles[:-3], tiles[-3:], "recorded", version)
    with charts_of(version), st.grid(3, min_column_width=380):
        _recorded_charts(recorded, chosen.stop, studio)
        if epochs is not None:
            backbone_chart(epochs)


def _about(recorded: RecordedFigures, chosen: Configuration, studio: Studio) -> str:
    same = recorded.config == chosen_config(chosen, studio.config)
    which = "Figures of this setting" if same else f"Figures of this encoder and interaction at **{label_of(recorded.config)}**"
    differences = " Differences are to the setting before." if _measured_before(studio) is not None else ""
    return f"{which}, recorded {recorded.recording.day_words} after {_epochs(recorded)}; times are of that machine.{differences}"


def _epochs(recorded: RecordedFigures) -> str:
    return f"{recorded.n_epochs} epochs of fine-tuning" if recorded.n_epochs else "k-means alone: there is nothing to fine-tune"


def _recorded_charts(recorded: RecordedFigures, stop: int, studio: Studio) -> None:
    """Accuracy, size and latency over the thresholds, on the axes of the setting's own charts."""
    curve, row, now = recorded.curve, recorded.row(stop), recorded.figures(stop)
    live_chart(
        threshold_curve_figure,
        threshold_curve_data(
            (curve.tau, curve.density, curve.recall, curve.ndcg),
            (float(curve.density[row]), now.recall, now.ndcg),
            recorded.backbone_recall,
            recorded.k,
        ),
        "chart-threshold",
        f"Recall and NDCG against the threshold, recorded. Now: recall {now.recall:.3f} with {curve.density[row]:.1%} of scores kept.",
    )
    before = _measured_before(studio)
    lines = [] if before is None else [trade_off(f"before: {label_of(before.config)}", before.curve.size_bytes, before.curve.recall)]
    this = trade_off(f"{label_of(recorded.config)} {KIND}", curve.size_bytes, curve.recall)
    live_chart(
        recall_size_figure,
        recall_size_data(this, lines, (now.size_bytes, now.recall), recorded.k),
        "chart-size",
        f"Recall against index size, recorded. Now: recall {now.recall:.3f} at {now.size_bytes / 1e6:.2f} MB.",
    )
    timed = recorded.latencies()
    columns = (
        np.array([one.latency.p50_ms for one in timed.values()]),
        np.array([curve.recall[recorded.row(at)] for at in timed]),
        np.array([one.busy for one in timed.values()], dtype=bool),
    )
    live_chart(
        recall_latency_figure,
        recall_latency_data(columns, None if now.p50_ms is None else (now.p50_ms, now.recall), recorded.k),
        "chart-latency",
        f"Recall against the median time of a query, recorded at {len(timed)} thresholds.",
    )


def _two_rows(first: list[Tile], last: list[Tile], key: str, version: str) -> None:
    left, right = st.columns(TILE_COLUMNS, gap="small")
    with left:
        figure_tiles(first, f"tiles-index-{key}", version)
    with right:
        figure_tiles(last, f"tiles-latency-{key}", version)


def _still(tiles: list[Tile]) -> list[Tile]:
    """Tiles that do not follow the threshold, which moves the recorded ones."""
    return [tile._replace(name=f"before-{tile.name}") for tile in tiles]


def _before(studio: Studio) -> Configuration | None:
    """The setting before on this data: on other data the same setting says nothing, and may have been measured for somebody else."""
    scope, before = st.session_state.get(_BEFORE, (studio.scope, None))
    return before if scope == studio.scope else None


def _measured_before(studio: Studio) -> MeasuredIndex | None:
    before = _before(studio)
    return None if before is None else studio.indexes.best(chosen_config(before, studio.config))


def _figures_before(studio: Studio) -> Figures | None:
    before, measured = _before(studio), _measured_before(studio)
    return None if before is None or measured is None else figures_of(measured, before.stop)
