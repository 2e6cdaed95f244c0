"""Catalogue size as an axis: every way to serve the model looked at, on catalogues grown from its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.charts.growth import with_fitted
from app.components.data_table import data_table
from app.components.figure_tiles import figure_tiles
from app.components.live_chart import charts_of
from app.components.provenance import data_line, kind_badge
from app.components.threshold_slider import threshold_slider
from app.jobs.job import JobSnapshot, JobState, status_text
from app.measured.measured_index import MeasuredIndex
from app.measured.scale_words import ENOUGH, answer, at_real_size, beside_rivals, headline
from app.measured.scaling import LADDER, LARGEST, ScaleProgress, ScaleResult, found_so_far, sizes_for
from app.measured.serving import best_measured
from app.measured.setting_jobs import View
from app.measured.threshold_stops import share_of
from app.scale.charts import growth_charts
from app.scale.columns import absent_text, scale_columns, tiles_at
from app.scale.table import details, left_out_lines, summary_table
from app.session import loaders
from app.session.address import read_address, write_address
from app.session.chosen_data import base_settings, chosen_config, given_settings
from app.session.configuration import label_of
from app.session.live_panel import keep_live, live_panel, show_setting
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import KEPT, SCALE
from app.session.visitor import owner_id
from app.session.widgets import configuration
from app.studio import Studio
from sparcode.comparison.grown_ways import LeftOut
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import at_enough, at_share
from sparcode.comparison.peers import FLAT, SPARCODE
from sparcode.config import RunConfig

POLL_SECONDS: Final = 1.0
LARGE: Final = "Measure a million, too"
# Real sizes below it are answered within a fraction of a millisecond by any way.
_SMALL: Final = 10_000
_WAIT: Final = "Trainings of all visitors wait until it has ended."
_LIVE: Final = "scale_live"
_SHOWN: Final = "scale_shown"


def scale() -> None:
    """The whole panel; it reruns by itself while something is under way, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(SCALE, base_settings())
    studio = loaders.studio()
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def _panel(studio: Studio) -> None:
    # First on the page, filled once the figures are known.
    answered = st.container()
    with st.container():
        for text in read_address(SCALE, base_settings()):
            st.warning(text)
    config = chosen_config(configuration(studio.config), studio.config)
    write_address(SCALE, base_settings(), given_settings())
    show_setting(_SHOWN, studio, config)
    view, job, own = studio.setting_jobs.follow(config, owner_id()), studio.scaling.job(config), studio.scaling.result(config)
    measured = best_measured(studio.indexes.all(), config)
    measuring = job is not None and job.active
    # A page with an answer says more than an empty one, also where it is of the studio's own setting.
    result = own or studio.scaling.widest(studio.config)
    points, left_out = found_so_far(job) if measuring else ((), ())
    fresh = bool(points)
    if result is not None and not fresh:
        points, left_out = result.points, result.left_out
    figures_are_of(_source(None if fresh else result, config, own is None, studio))
    with st.container():
        _work(job, own, measured, view, studio)
    with st.container():
        if result is not None and not fresh:
            _origin(result, own is None, config, studio)
    _figures(points, left_out, answered, studio)
    if result is not None and not fresh:
        with st.expander("All points, and how they are measured", on_change="rerun", key="scale-details") as folded:
            if folded.open:
                details(result, points)
    keep_live(_LIVE, view.active or measuring)


def _source(result: ScaleResult | None, config: RunConfig, is_other: bool, studio: Studio) -> FiguresOf:
    """What the figures are of: a finished measurement, of the studio's own settings where this one has none, else the one under way."""
    if result is None:
        return FiguresOf("Scale", studio, config)
    kept = st.session_state[KEPT.key]
    return FiguresOf("Scale", studio, studio.config if is_other else config, result.kind, result.recording, kept=kept)


def _figures(points: Sequence[GrowthPoint], left_out: Sequence[LeftOut], answered: DeltaGenerator, studio: Studio) -> None:
    """The answer on top, the slider, tiles, charts, and the table of one share."""
    kept, real = st.session_state[KEPT.key], studio.split.train.n_items
    chosen, fitted, said = at_share(points, share_of(kept)), at_enough(points, ENOUGH), headline(points)
    with answered:
        st.markdown(f"#### {said}" if said else _question(real))
        more = [sentence for sentence in (at_real_size(fitted, real), beside_rivals(fitted)) if sentence]
        if more:
            st.markdown(" ".join(more))
    size = shown_size(points)
    version = f"{hash(tuple((point.name, point.n_items, point.p50_ms) for point in points))}"
    threshold_slider(kept, scale_columns(points, size, version, left_out) if points else "", "")
    shown = f"{version} {kept}"
    with st.container():
        if points:
            figure_tiles(tiles_at(chosen, size, absent_text(left_out, size, share_of(kept))), "tiles-scale", shown)
            st.markdown(f"At {kept}% kept: {_lower(answer(chosen))}" if answer(chosen) else f"{kept}% kept is not measured at any size.")
    both = with_fitted(chosen, points)
    with charts_of(shown):
        growth_charts(both, points, real, said)
    if chosen:
        said = "Every way to serve on every catalogue size"
        data_table(summary_table(both), said, "scale-summary", plain=True, hide_index=True, border="horizontal")
    lines = left_out_lines(left_out)
    if lines:
        st.markdown("Left out before it starts:\n" + "\n".join(f"- {line}" for line in lines))


def shown_size(points: Sequence[GrowthPoint]) -> int:
    """The size that tiles show: the largest at which exact two-tower and SparCode at every share are measured; 0 where there is none."""
    exact = {point.n_items for point in points if point.name == FLAT}
    by_size = Counter(point.n_items for point in points if point.name == SPARCODE)
    most = max(by_size.values(), default=0)
    return max((size for size, n_shares in by_size.items() if n_shares == most and size in exact), default=0)


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _question(n_items: int) -> str:
    """What a measurement would answer, where there is none yet."""
    largest = sizes_for(n_items)[-1]
    return (
        f"The real catalogue has {n_items:,} items{', where anything is fast' if n_items < _SMALL else ''}. From how many items on does "
        "SparCode's index pay, and what does it cost? **Time**, **memory** and **share found** of every way to serve, on catalogues grown "
        f"from this one, up to {largest:,} items{' in about 20 seconds' if largest <= LADDER[-1] else ''}."
    )


def quick_label(n_items: int) -> str:
    """The button that measures a real catalogue and those of the ladder above it."""
    return f"Measure up to {sizes_for(n_items)[-1]:,} items here"


def _work(job: JobSnapshot | None, own: ScaleResult | None, measured: MeasuredIndex | None, view: View, studio: Studio) -> None:
    """What is under way, or the buttons that start it."""
    if job is not None and job.active:
        _progress(job, studio)
        return
    if job is not None and job.state is JobState.FAILED:
        st.error(status_text(job))
    elif job is not None and job.state is JobState.CANCELLED:
        st.info(f"{status_text(job)} Nothing of it is kept.")
    if measured is None:
        waiting = view.waiting
        if waiting is not None and not waiting.active:
            st.error(status_text(waiting))
        else:
            st.markdown("The model of this setting is being prepared; then it can be measured.")
    real = studio.split.train.n_items
    here = own if own is not None and own.recording is None else None
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(quick_label(real), type="secondary" if here else "primary", disabled=measured is None):
            studio.scaling.start(view.config, owner_id(), sizes_for(real))
            st.rerun()
        if real < LARGEST and (here is None or LARGEST not in here.seconds):
            sizes = (LARGEST,) if here else (*sizes_for(real), LARGEST)
            if st.button(LARGE, disabled=measured is None, help=_expected(own, sizes)):
                studio.scaling.start(view.config, owner_id(), sizes)
                st.rerun()
            st.caption(_expected(own, sizes))


def _expected(result: ScaleResult | None, sizes: Sequence[int]) -> str:
    """How long a measurement would take, from the one before."""
    if result is None:
        return f"A million items take some minutes; after a first measurement this says how many. {_WAIT}"
    known = sum(result.seconds.get(size, result.expected_seconds(size)) for size in sizes)
    where = "" if result.recording is None else ", by the recorded run"
    return f"A million takes about {max(1, round(known / 60))} min{where}; it can be cancelled. {_WAIT}"


def _progress(job: JobSnapshot, studio: Studio) -> None:
    steps = [record for record in job.records if isinstance(record, ScaleProgress)]
    share, text = 0.0, status_text(job)
    if steps and job.state is JobState.RUNNING:
        share, text = steps[-1].done, f"{steps[-1].step} ({job.seconds:.0f} s)"
        if share > 0.05:
            text += f", about {job.seconds * (1 / share - 1):.0f} s left"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=text)
        if owner_id() not in job.owners:
            st.caption("Another visitor wants it, who alone can cancel it.")
        elif st.button("Cancel the measurement"):
            studio.jobs.cancel(job.key, owner_id())
            st.rerun()


def _origin(result: ScaleResult, is_other: bool, config: object, studio: Studio) -> None:
    """Which model the figures are of, and where they were measured."""
    where = f"measured on this machine at {result.measured_at.replace('T', ' ')}: {result.machine}"
    if result.recording is not None:
        where = f"measured {result.recording.words}; times here may differ"
    where += f", {result.load_words}" if result.load_words else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(result.kind, result.recording)
        other = f"This setting ({label_of(config)}) is not measured yet; below is {label_of(studio.config)}. " if is_other else ""
        st.caption(f"{other}{data_line(studio)}; {where}.")
