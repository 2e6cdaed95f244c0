"""SparCode's index beside other ways to serve, measured at a click: progress, charts, verdict, table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.charts.serving_points import bytes_data, latency_data, out_of_view, serving_points_figure
from app.compare.details import details
from app.compare.matrix import matrix
from app.compare.points import points_table
from app.components.live_chart import live_chart
from app.components.provenance import kind_badge
from app.jobs.job import JobSnapshot, JobState, epochs_of, status_text
from app.measured.measured_index import MeasuredIndex
from app.measured.rivals import rivals, so_what, takeaways
from app.measured.serving import PLAN, Progress, ServingResult, best_measured, points_of
from app.measured.setting_jobs import View
from app.measured.verdict import listed, verdict
from app.models.backbones import backbone_key
from app.session import loaders
from app.session.address import read_address, write_address
from app.session.chosen_data import base_settings, chosen_config, given_settings
from app.session.configuration import label_of
from app.session.live_panel import keep_live, live_panel, show_setting
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import COMPARE
from app.session.visitor import owner_id
from app.session.widgets import configuration
from app.studio import Studio
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import SEARCHED, runnable
from sparcode.config import RunConfig

POLL_SECONDS: Final = 1.0
CHART_HEIGHT: Final = 480
MEASURE: Final = "Measure on this machine"
AGAIN: Final = "Measure again"
_LIVE: Final = "compare_live"
_SHOWN: Final = "compare_shown"


def serving_comparison() -> None:
    """The whole panel; it reruns by itself while something is under way, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(COMPARE, base_settings())
    studio = loaders.studio()
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def _panel(studio: Studio) -> None:
    # First on the page, filled once the measurement is known.
    answered = st.container()
    for text in read_address(COMPARE, base_settings()):
        st.warning(text)
    config = chosen_config(configuration(studio.config), studio.config)
    write_address(COMPARE, base_settings(), given_settings())
    show_setting(_SHOWN, studio, config)
    view, job, own = studio.setting_jobs.follow(config, owner_id()), studio.serving.job(config), studio.serving.result(config)
    measured = best_measured(studio.indexes.all(), config)
    # A page with an answer says more than an empty one, also where it is of the studio's own setting.
    result = own or studio.serving.result(studio.config)
    _model(measured, view)
    measuring = job is not None and job.active
    if measuring:
        _progress(job, studio)
    else:
        _start(job, own, measured, view, studio)
    points = points_of(job) if measuring else ()
    figures_are_of(_source(None if points else result, config, studio))
    rows = rivals(result.points if result is not None and not points else points)
    with answered:
        st.markdown(so_what(rows, studio.split.train.n_items) or _question(studio))
    if result is not None and not points:
        if measuring:
            st.caption("Below: the measurement before.")
        _finished(result, measured, config, studio)
    else:
        matrix(rows)
        _charts(points, "The measurement is under way." if measuring else "")
        if points:
            points_table(points)
    keep_live(_LIVE, view.active or measuring)


def _source(result: ServingResult | None, config: RunConfig, studio: Studio) -> FiguresOf:
    """What the figures are of: a finished measurement, else the one under way."""
    if result is None:
        return FiguresOf("Compare", studio, config)
    return FiguresOf("Compare", studio, result.config, result.kind, result.recording)


def _question(studio: Studio) -> str:
    """What a measurement would answer, where there is none yet."""
    return (
        "What does SparCode's index win, and what does it cost? **Recall**, **latency** and **memory** of "
        f"{listed([peer.name for peer in runnable(SEARCHED, studio.split)[0]])}, at several settings where there are any: the same test "
        f"users, one query at a time, encoding included, in {PLAN.rounds} rounds in which all take turns. Two-tower is trained and the "
        "baselines are fitted the first time. With the built-in data it takes about half a minute."
    )


def _model(measured: MeasuredIndex | None, view: View) -> None:
    """The SparCode model that would be measured now."""
    if measured is None:
        waiting = view.waiting
        if waiting is not None and waiting.key == backbone_key(view.config) and waiting.active:
            st.markdown("The backbone is being trained, once; then this setting's index can be measured. " + status_text(waiting))
        elif waiting is None or waiting.active:
            st.markdown("The index of this setting is being built.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(measured.called)
        training = view.tuning
        if not measured.is_preview:
            st.markdown(f"SparCode, {measured.training_text}")
        elif training is not None and training.active:
            epochs = epochs_of(training)
            st.markdown("fine-tuning is under way" + (f", epoch {epochs[-1].epoch}" if epochs else "") + "; a measurement waits for it")
        else:
            st.markdown("SparCode straight after k-means")


def _start(job: JobSnapshot | None, result: ServingResult | None, measured: MeasuredIndex | None, view: View, studio: Studio) -> None:
    broken = view.waiting if measured is None and view.waiting is not None and not view.waiting.active else None
    for ended in (broken, job):
        if ended is not None and ended.state is JobState.FAILED:
            st.error(status_text(ended))
    if job is not None and job.state is JobState.CANCELLED:
        st.info(f"{status_text(job)} Nothing of it is kept" + ("; below is the one before." if result else "."))
    with st.container(horizontal=True, vertical_alignment="center"):
        if broken is not None:
            if st.button("Try again", type="primary"):
                studio.jobs.forget(broken.key)
                st.rerun()
            return
        again = result is not None and result.recording is None
        if st.button(AGAIN if again else MEASURE, type="secondary" if again else "primary", disabled=measured is None):
            studio.serving.start(view.config, owner_id())
            st.rerun()
        _full_training(measured, view, studio)


def _full_training(measured: MeasuredIndex | None, view: View, studio: Studio) -> None:
    """Offer full training, because two-tower is trained to the end."""
    if measured is None or not (measured.cut_short or view.had_no_time) or (view.tuning is not None and view.tuning.active):
        return
    most = view.config.training.joint_epochs
    if st.button(f"Train all {most} epochs first", help="The clock of the live page ended SparCode's training; two-tower's has none."):
        studio.setting_jobs.start_tuning(view.config, owner_id(), full=True)
        st.rerun()


def _progress(job: JobSnapshot, studio: Studio) -> None:
    steps = [record for record in job.records if isinstance(record, Progress)]
    share, text = 0.0, status_text(job)
    if steps and job.state is JobState.RUNNING:
        last = steps[-1]
        share = last.done / last.total if last.total else 0.0
        done = f": {last.done} of {last.total}" if last.total else f": {last.done} so far" if last.done else ""
        text = f"{last.step}{done} ({job.seconds:.0f} s)"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=text)
        if owner_id() not in job.owners:
            st.caption("Another visitor wants it, who alone can cancel it.")
        elif st.button("Cancel the measurement"):
            studio.jobs.cancel(job.key, owner_id())
            st.rerun()


def _finished(result: ServingResult, measured: MeasuredIndex | None, shown: RunConfig, studio: Studio) -> None:
    """Matrix, charts and folded details of a measurement, which may be one of another setting than the one `shown`."""
    _provenance(result, measured, shown)
    rows = rivals(result.points)
    matrix(rows)
    read = verdict(result.points)
    _charts(result.points, f"{read.headline} {read.at_most}")
    with st.expander("Details: SparCode against every peer, all settings, how it was measured", key="compare-details"):
        details(result, read, studio)


def _provenance(result: ServingResult, measured: MeasuredIndex | None, shown: RunConfig) -> None:
    """What the figures below are of, where that is not plain."""
    if result.config != shown:
        st.info(
            f"Not measured for this setting yet. Shown is the measurement of **{label_of(result.config)}**; press "
            f"**{MEASURE}** for your own."
        )
    elif measured is not None and (measured.called, measured.n_epochs) != (result.kind, result.n_epochs):
        st.info(
            f"These figures are of the **{result.kind}** model of {result.n_epochs} epochs; a {measured.called} one of "
            f"{measured.n_epochs} epochs is ready to be measured."
        )
    if result.busy:
        st.markdown("Other jobs ran beside this measurement, so its times are upper bounds: **measure again** when nothing else runs.")
    where = "Measured on this machine" if result.recording is None else f"Recorded {result.recording.words}"
    st.caption(f"{where}: {result.data_name}, {result.n_queries:,} test users, seed {result.config.training.seed}.")


def _charts(points: Sequence[Measurement], takeaway: str) -> None:
    """Recall against latency, and against memory; `takeaway` is the text alternative."""
    in_time, in_memory = takeaways(rivals(points))
    charts = (
        ("chart-serving-latency", latency_data(points)._replace(takeaway=in_time)),
        ("chart-serving-bytes", bytes_data(points)._replace(takeaway=in_memory)),
    )
    with st.grid(2, min_column_width=480):
        for key, data in charts:
            alt = f"{data.title} of {len(points)} settings. {takeaway}"
            live_chart(serving_points_figure, data, key, alt, CHART_HEIGHT)
    if not points:
        return
    hidden = out_of_view(charts[1][1])
    note = f" {hidden} settings with much lower recall lie below what is shown; they are in the table." if hidden else ""
    st.caption(
        "To the upper left is better. The grey staircase is the Pareto front: no measured setting has more recall at the same cost or "
        "less. Bars are the quartiles of the median over rounds; memory is counted and has no noise. Every line goes through the settings "
        f"of one way to serve.{note}"
    )
