"""The page Sweep: many settings tried on the same data, watched, and the answer."""

from __future__ import annotations

from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.kept.sweep_jobs import SweepJobs
from app.kept.sweep_words import answer, beside
from app.kept.sweeps import RECORDED_NAME
from app.session import loaders
from app.session.address import plain_text, read_address, write_address
from app.session.chosen_data import base_settings, sweeps_folder
from app.session.error_words import error_words
from app.session.live_panel import keep_live, live_panel
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import SWEEP
from app.studio import Studio
from app.sweep.chosen import asked_sweep, choose_sweep, chosen_sweep, offered, read_chosen, sweep_label, write_chosen
from app.sweep.define import new_sweep
from app.sweep.opening import looked_at
from app.sweep.results import charts, downloads, trials_table
from app.sweep.watch import making, watch
from sparcode.sweep.answer import allowed_points, smallest_near_best
from sparcode.sweep.folder import Sweep

POLL_SECONDS: Final = 1.0
QUESTION: Final = "Which setting should you run: how small can the index be, and what does that cost?"
_LIVE: Final = "sweep_live"
_NOT_DELETED: Final = "sweep_not_deleted"


def sweep_page() -> None:
    """The whole panel; it reruns by itself while a sweep is under way, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(SWEEP, base_settings())
    read_chosen(offered(loaders.opened().sweeps.sweeps))
    live_panel(_panel, _LIVE, POLL_SECONDS, loaders.studio())


def _panel(studio: Studio) -> None:
    # First on the page, filled once the figures are known.
    answered = st.container()
    jobs = loaders.opened().sweeps
    names = offered(jobs.sweeps)
    with st.container():
        for text in (*read_address(SWEEP, base_settings()), *read_chosen(names)):
            st.warning(text)
    # One that is being made has no folder yet; one that could not be made has none.
    for made in (asked_sweep(), jobs.under_way()):
        if made and made not in names and jobs.job(made) is not None:
            names = [made, *names]
    # Closed again once a sweep is started, whose progress stands below.
    with st.expander("**New sweep**: choose what varies, and start it", key=f"sweep-new-{len(names)}", expanded=not names):
        new_sweep(jobs, studio)
    name = _picked(names, jobs)
    write_address(SWEEP, base_settings())
    write_chosen(names)
    active = _shown(name, jobs, studio, answered) if name else False
    if not name:
        answered.markdown(f"#### {QUESTION}")
    keep_live(_LIVE, active)


def _picked(names: list[str], jobs: SweepJobs) -> str:
    """The sweep that is looked at, chosen among all; the buttons beside it delete it."""
    if not names:
        return ""
    name = chosen_sweep(names)
    key = f"sweep-picked-{name}-{len(names)}"

    def picked() -> None:
        choose_sweep(st.session_state.get(key) or name)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Sweep", names, names.index(name), format_func=sweep_label, key=key, on_change=picked, width=320)
        if name != RECORDED_NAME and jobs.under_way() != name:
            with st.popover("Delete it"):
                is_sure = st.checkbox(f"Nobody needs **{name}** any more; deleted, it cannot be had back", key=f"sweep-sure/{name}")
                st.button("Delete this sweep for everybody", on_click=_delete, args=(name, jobs), disabled=not is_sure)
    if reason := st.session_state.pop(_NOT_DELETED, ""):
        st.error("The sweep is not deleted.")
        st.text(reason)
    return name


def _delete(name: str, jobs: SweepJobs) -> None:
    try:
        jobs.sweeps.delete(name)
        choose_sweep("")
    except (ValueError, OSError) as error:
        # A callback draws above the title of the page.
        st.session_state[_NOT_DELETED] = error_words(error, sweeps_folder())


def _shown(name: str, jobs: SweepJobs, studio: Studio, answered: DeltaGenerator) -> bool:
    """Everything about one sweep; returns whether work on it goes on."""
    if name not in offered(jobs.sweeps):
        answered.markdown(f"#### {QUESTION}")
        return making(name, jobs)
    try:
        sweep = jobs.sweeps.load(name)
    except ValueError as error:
        answered.markdown(f"#### {QUESTION}")
        st.error(f"The sweep **{name}** cannot be shown.")
        st.text(error_words(error, sweeps_folder()))
        return False
    figures_are_of(_source(name, sweep, jobs, studio))
    active = watch(name, sweep, jobs)
    with answered:
        said = answer(sweep.definition, sweep.trials)
        st.markdown(f"#### {said}" if said else f"#### {QUESTION}")
        st.markdown(beside(sweep.definition, sweep.trials) or "No trial has finished yet.")
    near = smallest_near_best(allowed_points(sweep.definition, sweep.trials))
    computing = charts(name, sweep, jobs, studio)
    looked_at(name, sweep, None if near is None else near.trial, studio)
    trials_table(sweep_label(name), sweep)
    downloads(name, sweep)
    _origin(name, sweep, jobs)
    return active or computing


def _source(name: str, sweep: Sweep, jobs: SweepJobs, studio: Studio) -> FiguresOf:
    facts = sweep.definition.data.facts
    words = f"{plain_text(facts.name)}: {facts.n_users:,} users, {facts.n_items:,} items, {facts.n_interactions:,} interactions"
    called = f"sweep {sweep_label(name)}, validation users"
    return FiguresOf("Sweep", studio, sweep.definition.config, called, jobs.sweeps.recording(name), other_data=words)


def _origin(name: str, sweep: Sweep, jobs: SweepJobs) -> None:
    """The last line: what was searched, how, on which data and machine."""
    definition, facts = sweep.definition, sweep.definition.data.facts
    recording = jobs.sweeps.recording(name)
    if recording is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge("RECORDED", color="violet", help=f"Run {recording.words}, and stored with the studio without its runs.")
    machines = dict.fromkeys(trial.machine for trial in sweep.trials if trial.machine)
    where = f"Recorded {recording.words}" if recording else f"Measured on: {'; '.join(machines) or 'nothing yet'}"
    varies = "; ".join(dimension.text for dimension in definition.space.dimensions)
    st.caption(
        f"Data: **{plain_text(facts.name)}**, {facts.n_users:,} users, {facts.n_items:,} items. Varies: `{varies}`. Sampler "
        f"{definition.search.sampler}, seed {definition.seed}. All figures are on the validation users, whom choices are made on; test "
        f"users are for the pages that a run opens on. Latency was measured while other trials ran. {where}."
    )
