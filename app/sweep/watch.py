"""A sweep under way: progress, what its trials do, and the buttons that end it or go on with it."""

from __future__ import annotations

import os
from collections import Counter
from typing import Final

import streamlit as st

from app.jobs.job import JobSnapshot, JobState
from app.kept.sweep_jobs import SweepJobs, SweepProgress
from app.kept.sweep_words import event_words, left_words
from app.kept.sweeps import RECORDED_NAME
from app.session.chosen_data import sweeps_folder
from app.session.error_words import error_words
from app.session.visitor import owner_id
from sparcode.sweep.folder import Sweep

_MOST_REASONS: Final = 3
_PROBLEM: Final = "sweep_not_gone_on"


def watch(name: str, sweep: Sweep, jobs: SweepJobs) -> bool:
    """Draw it; returns whether the sweep is under way, here or in another process."""
    job = jobs.job(name)
    active = job is not None and job.active
    if active or sweep.is_running:
        _progress(name, sweep, job, jobs)
    elif name != RECORDED_NAME and not sweep.is_finished:
        _unfinished(name, sweep, job, jobs)
    _failed(sweep)
    if said := st.session_state.pop(_PROBLEM, ""):
        st.error("It does not go on.")
        st.text(said)
    return active or sweep.is_running


def making(name: str, jobs: SweepJobs) -> bool:
    """A sweep whose folder is not there yet, or could not be made; returns whether it is under way."""
    job = jobs.job(name)
    if job is None or job.active:
        st.progress(0.0, text=f"The sweep {name} is about to start")
    elif job.state is JobState.FAILED:
        st.error(f"The sweep {name} could not be started.")
        st.text(error_words(ValueError(job.error), sweeps_folder()))
    return job is not None and job.active


def _progress(name: str, sweep: Sweep, job: JobSnapshot | None, jobs: SweepJobs) -> None:
    n_finished, n_trials = len(sweep.trials), sweep.definition.n_trials
    progress = [record for record in (job.records if job else ()) if isinstance(record, SweepProgress)]
    left = left_words(progress[-1].seconds_left) if progress else ""
    text = ", ".join(filter(None, (f"{n_finished} of {n_trials} trials have finished", left)))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(min(1.0, n_finished / max(1, n_trials)), text=text)
        if jobs.may_cancel(name, owner_id()):
            st.button("Cancel", on_click=jobs.cancel, args=(name, owner_id()), key="sweep-cancel")
        elif job is None or not job.active:
            st.caption("It runs in another process of this machine.", width="content")
        else:
            st.caption("Who started it can cancel it.", width="content")
    for number, event in sorted(sweep.under_way.items()):
        st.caption(f"{event_words(number, event)}.")


def _unfinished(name: str, sweep: Sweep, job: JobSnapshot | None, jobs: SweepJobs) -> None:
    if job is not None and job.state is JobState.FAILED:
        st.error("The sweep ended with an error; finished trials are kept.")
        st.text(error_words(ValueError(job.error), sweeps_folder()))
    left = sweep.definition.n_trials - len(sweep.trials)
    under_way = jobs.under_way()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Go on with it",
            type="primary",
            on_click=_go_on,
            args=(name, jobs),
            disabled=bool(under_way),
            key="sweep-resume",
            help=f"The sweep {under_way} is under way; there is one at a time." if under_way else None,
        )
        st.caption(f"{left} of {sweep.definition.n_trials} trials are left; none of those that have finished is repeated.")


def _go_on(name: str, jobs: SweepJobs) -> None:
    wanted = st.session_state.get("sweep-workers") or max(1, (os.cpu_count() or 1) - 1)
    try:
        jobs.start(name, owner_id(), min(int(wanted), os.cpu_count() or 1))
    except ValueError as error:
        st.session_state[_PROBLEM] = error_words(error, sweeps_folder())


def _failed(sweep: Sweep) -> None:
    reasons = Counter(trial.error for trial in sweep.trials if trial.state == "failed")
    if not reasons:
        return
    n_failed = reasons.total()
    st.warning(f"{n_failed} trial{'' if n_failed == 1 else 's'} failed and {'was' if n_failed == 1 else 'were'} skipped; the reasons:")
    for reason, count in reasons.most_common(_MOST_REASONS):
        st.text(f"{count} x {error_words(ValueError(reason), sweeps_folder())}"[:400])
