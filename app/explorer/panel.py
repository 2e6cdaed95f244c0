"""The Index Explorer: settings, threshold slider, figures, charts, and the run history, live."""

from __future__ import annotations

from typing import Final, NamedTuple

import streamlit as st

from app.charts.threshold_columns import threshold_columns
from app.components.figure_tiles import figure_tiles
from app.components.first_visit import first_visit
from app.components.live_chart import charts_of
from app.components.provenance import provenance, recorded_notes
from app.components.threshold_slider import threshold_slider
from app.explorer.as_if import Large, as_if_columns, as_if_tiles, chosen_large
from app.explorer.controls import controls, run_history
from app.explorer.front import front_chart
from app.explorer.index_charts import code_charts, numbers, threshold_charts
from app.explorer.run_table import equal_epochs_note, run_table
from app.explorer.search import front_of, opened, search_status, settle
from app.explorer.status import curve_note, is_training, lead, plain_words, status
from app.explorer.tiles import TILE_COLUMNS, has_preview, index_tiles, latency_tiles
from app.explorer.trade_off_charts import accuracy_chart, latency_chart, size_chart, training_chart
from app.explorer.until_measured import estimate, recorded_beside, recorded_columns, recorded_of, remember, until_measured
from app.jobs.job import epochs_of
from app.measured.figures import figures_of
from app.measured.measured_index import MeasuredIndex
from app.measured.run_export import evaluate_command, run_of, run_zip
from app.measured.setting_jobs import View
from app.session import loaders
from app.session.address import read_address, write_address
from app.session.chosen_data import base_settings, chosen_config, given_settings
from app.session.configuration import Configuration
from app.session.live_panel import keep_live, live_panel, show_setting
from app.session.report import FiguresOf, figures_are_of
from app.session.run_history import PinnedRun, pinned_run
from app.session.settings import EXPLORER
from app.session.visitor import owner_id
from app.session.widgets import configuration, go_to, pinned
from app.studio import Studio
from sparcode.config import RunConfig
from sparcode.metrics.evaluation import ExplorerPoint

PAGE: Final = "Index Explorer"
POLL_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 1.0
_LIVE: Final = "explorer_live"
_SHOWN: Final = "explorer_shown"


def explorer() -> None:
    """The whole panel; it reruns by itself while something is under way, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(EXPLORER, base_settings())
    studio = loaders.studio()
    recorded_notes(studio)
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def _panel(studio: Studio) -> None:
    with st.container(gap="xsmall"):
        said = st.container()
        # Containers around optional elements: charts are kept only while the number of elements above them stays the same.
        with st.container():
            for text in read_address(EXPLORER, base_settings()):
                st.warning(text)
        searching = settle(studio)
        chosen = configuration(studio.config)
        write_address(EXPLORER, base_settings(), given_settings())
        run_history(studio.scope).visit(chosen)
        config = chosen_config(chosen, studio.config)
        _leave_for(config, studio)
        view = studio.setting_jobs.follow(config, owner_id(), WAIT_SECONDS)
        said.markdown(lead(view.measured))
        recorded = recorded_of(view, studio)
        against = _against(view, studio)
        ghost = against.run
        slider_place = st.container()
        controls(run_history(studio.scope), chosen, pinned())
        large = chosen_large(config, studio)
        with slider_place:
            shown = _columns(view, ghost, studio) if recorded is None else recorded_columns(recorded, studio)
            threshold_slider(chosen.keep, as_if_columns(shown, large), curve_note(view, recorded))
        with st.container():
            if large is not None:
                st.caption(large.note)
        with st.container():
            search_status(studio, chosen, view.measured)
        with st.container():
            if against.note:
                st.caption(against.note)
        untimed = False
        if view.measured is None:
            epochs = first_visit(view, studio, estimate(recorded), draws=False)
            until_measured(recorded, chosen, studio, epochs)
        else:
            untimed = _figures(view, studio, chosen, ghost, large)
            remember(chosen, studio)
        with st.container():
            figures_are_of(FiguresOf(PAGE, studio, config, "previews and fine-tuned points of a search"))
            front_chart(front_of(studio, chosen), lambda point: go_to(opened(chosen, point)))
        st.subheader("Runs looked at")
        figures_are_of(FiguresOf(PAGE, studio))
        run_table(run_history(studio.scope), pinned())
        with st.container():
            if note := equal_epochs_note(run_history(studio.scope).runs):
                st.caption(note)
    keep_live(_LIVE, view.active or against.active or untimed or searching)


class _Against(NamedTuple):
    """The pinned run if it is known, a note on it, and whether it is being measured."""

    run: PinnedRun | None
    note: str
    active: bool


def _leave_for(config: RunConfig, studio: Studio) -> None:
    held = pinned()
    show_setting(_SHOWN, studio, config, None if held is None else chosen_config(held, studio.config))


def _against(view: View, studio: Studio) -> _Against:
    held = pinned()
    if held is None:
        words = "Differences are to the **preview**." if view.measured is not None and has_preview(view.measured, view.preview) else ""
        return _Against(None, words, False)
    config = chosen_config(held, studio.config)
    if config == view.config:
        words = f"Differences are to the **pinned** run, the same index at {held.keep} % kept."
        return _Against(pinned_run(held, view.measured), words if view.measured is not None else "", False)
    active = False
    if not view.active:
        # Measured when nothing else is to be done: after a link was opened, or when its index was dropped from memory.
        active = studio.setting_jobs.follow(config, owner_id()).active
    measured = studio.indexes.best(config)
    if measured is not None and measured.complete and not view.active and not active:
        # A run pinned by a link was never timed here.
        studio.setting_jobs.latency(measured, held.stop, owner_id(), "pinned")
    run = pinned_run(held, measured)
    if run is None:
        words = (
            "is being measured" if active else "is measured once the figures above are there" if view.active else "could not be measured"
        )
        return _Against(None, f"The pinned run ({held.label}, {held.keep} % kept) {words}.", active)
    return _Against(
        run,
        f"Differences are to the **pinned** run, grey in the charts: {held.label}, {held.keep} % kept, {run.measured.called}, "
        f"{run.figures.epochs} epochs.",
        active,
    )


def _columns(view: View, ghost: PinnedRun | None, studio: Studio) -> str:
    measured = view.measured
    if measured is None or not measured.presentable:
        return ""
    preview = view.preview if has_preview(measured, view.preview) else None
    backbone = studio.backbones.of(measured.config)
    return threshold_columns(measured, ghost.figures if ghost else None, preview, backbone.recall if backbone else None)


def _figures(view: View, studio: Studio, chosen: Configuration, ghost: PinnedRun | None, large: Large | None) -> bool:
    """Draw all figures, size and latency of a larger catalogue if given; returns whether the latency is still to be timed."""
    measured, stop = view.measured, chosen.stop
    of_charts = FiguresOf(PAGE, studio, measured.config, measured.called, kept=chosen.keep)
    # Tiles may show another catalogue than the charts between them.
    of_tiles = of_charts if large is None else of_charts._replace(besides=large.origin)
    figures_are_of(of_tiles)
    point, version = measured.point(stop), f"{measured.version} {chosen.keep}"
    status(view, studio)
    with st.container():
        plain_words(view, point)
    first, last = st.columns(TILE_COLUMNS, gap="small")
    with first:
        figure_tiles(
            as_if_tiles(index_tiles(measured, point, stop, ghost, view.preview), large, chosen.keep),
            "tiles-index",
            version,
            says_kind=False,
        )
    figures_are_of(of_charts)
    timed_place = last.container()
    with charts_of(version), st.grid(3, min_column_width=380):
        # While a recorded model is fine-tuned anew, show the new training.
        watched = measured.is_preview or (measured.recording is not None and is_training(view))
        records = epochs_of(view.tuning) if watched else measured.records
        accuracy_chart(measured, point, studio, ghost)
        size_chart(measured, point, studio, ghost)
        latency_place = st.container()
        threshold_charts(measured, point, ghost)
        code_charts(measured, ghost)
        training_chart("Fine-tuning", records, ghost)
    # Last, because it takes a moment.
    timed = studio.setting_jobs.latency(measured, stop, owner_id())
    figures_are_of(of_tiles)
    with timed_place:
        figure_tiles(as_if_tiles(latency_tiles(measured, timed, ghost), large, chosen.keep), "tiles-latency", version, says_kind=False)
    figures_are_of(of_charts)
    with latency_place, charts_of(version):
        latency_chart(measured, stop, studio, ghost)
    if measured.complete:
        run_history(studio.scope).record(chosen, figures_of(measured, stop))
    provenance(measured, studio)
    with st.container():
        if beside := recorded_beside(measured, stop, studio):
            st.caption(beside)
    if measured.complete:
        with st.expander("Save this run: a folder for the command line", on_change="rerun", key="explorer-save") as saving:
            if saving.open:
                _save_run(measured, point, studio)
    with st.expander("Show data: the numbers behind the charts", on_change="rerun", key="explorer-numbers") as table:
        if table.open:
            numbers(measured, point, records)
    return measured.complete and timed is None


def _save_run(measured: MeasuredIndex, point: ExplorerPoint, studio: Studio) -> None:
    """A button that downloads the run of a complete index, and the command that prints its figures again."""
    backbone = studio.backbones.of(measured.config)
    run = run_of(measured, point, studio.interactions, studio.split, backbone.records if backbone else (), studio.machine)
    st.markdown(
        "Settings, weights, catalogue and index of the run above. Unpacked, it is a folder for the command line, which measures it anew at "
        "this or any other threshold:"
    )
    st.code(f"unzip {run.run_id}.zip\n{evaluate_command(run.run_id, point.tau, *loaders.chosen_source())}", language="bash")
    # A callable, so that the run is packed on demand.
    st.download_button("Save run", lambda: run_zip(run), f"{run.run_id}.zip", "application/zip", on_click="ignore")
