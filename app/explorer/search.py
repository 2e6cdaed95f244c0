"""The search of all settings: asked for at a click, its progress and answer, and the fine-tuning of what it found."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import streamlit as st

from app.explorer.front import Front, setting_text
from app.jobs.job import JobSnapshot, JobState, status_text
from app.measured.front_tuning import front_key, front_settings
from app.measured.front_tuning import progress_of as front_progress
from app.measured.measured_index import MeasuredIndex
from app.measured.setting_grids import SearchedGrid, grid_key, progress_of
from app.session.background import hold, let_go
from app.session.chosen_data import SEARCH, chosen_config
from app.session.configuration import Configuration
from app.session.settings import KEPT
from app.session.visitor import owner_id, want_in_tab
from app.session.widgets import chosen_now, go_to, set_threshold
from app.studio import Studio
from sparcode.comparison.pareto import best_under, smallest_within
from sparcode.comparison.setting_grid import GridPoint
from sparcode.config import RunConfig

NEAR_BEST: Final = 0.99
PAGE: Final = "Index Explorer"


class Asked(NamedTuple):
    """A search that this visitor asked for: the budget (None: the smallest near the best), at which setting, and the answer once `over`.

    The fine-tuning of its front ends when it is `stopped`.
    """

    megabytes: float | None
    at: Configuration
    answer: GridPoint | None = None
    started: bool = False
    over: bool = False
    stopped: bool = False

    @property
    def what(self) -> str:
        """What was asked for, in words."""
        return f"Best under {self.megabytes:g} MB" if self.megabytes is not None else "Smallest within 1 % of the best"


def ask(megabytes: float | None, chosen: Configuration) -> None:
    """Ask for the best setting of at most so many megabytes, or (None) for the smallest one near the best; call from a callback."""
    let_go()
    st.session_state[SEARCH] = Asked(megabytes, chosen)


def settle(studio: Studio) -> bool:
    """Go on with the search asked for, open its answer once it is there, and have its front fine-tuned; call before the widgets.

    Returns whether any of it is under way. The answer is not opened by itself if the visitor has moved on to another setting meanwhile.
    """
    asked: Asked | None = st.session_state.get(SEARCH)
    if asked is None:
        return False
    config = chosen_config(asked.at, studio.config)
    if asked.over:
        return _tunes_front(asked, config, studio)
    found = studio.grids.found(config)
    if found is not None:
        answer = answer_of(found.points, asked.megabytes)
        st.session_state[SEARCH] = asked = asked._replace(answer=answer, over=True)
        if answer is not None and chosen_now() == asked.at:
            go_to(opened(asked.at, answer))
        return _tunes_front(asked, config, studio)
    job = studio.grids.job(config)
    if job is None or not asked.started:
        # Also after one that was cancelled or failed.
        job = studio.grids.start(config, owner_id())
        st.session_state[SEARCH] = asked._replace(started=True)
    want_in_tab(grid_key(config), studio)
    return job.active


def front_of(studio: Studio, chosen: Configuration) -> Front | None:
    """What the search found over the M, K and P of the setting looked at, and what of its front is fine-tuned; None before a search."""
    asked: Asked | None = st.session_state.get(SEARCH)
    config = chosen_config(chosen, studio.config)
    found = studio.grids.found(config)
    if asked is None or found is None:
        return None
    settings = _settings(asked, found)
    tuned = studio.front.found(config, settings)
    answer = answer_of(found.points, asked.megabytes)
    points = [point for each in tuned.values() for point in each]
    return Front(found, settings, tuned, asked.megabytes, (answer_of(points, asked.megabytes) if points else None) or answer)


def answer_of(points: Sequence[GridPoint], megabytes: float | None) -> GridPoint | None:
    """The point asked for, see `ask`; None if nothing fits."""
    return smallest_within(points, NEAR_BEST) if megabytes is None else best_under(points, 1e6 * megabytes)


def opened(chosen: Configuration, point: GridPoint) -> Configuration:
    """A choice with M, K, P and threshold of a point."""
    return chosen._replace(m=str(point.n_codebooks), k=str(point.codebook_size), p=str(point.n_nearest), keep=KEPT.options[point.place])


def search_status(studio: Studio, chosen: Configuration, measured: MeasuredIndex | None) -> None:
    """One line on the search asked for: its progress, or its answer; and one on the fine-tuning of its front."""
    asked: Asked | None = st.session_state.get(SEARCH)
    if asked is None:
        return
    config = chosen_config(asked.at, studio.config)
    job, front = studio.grids.job(config), front_of(studio, asked.at)
    with st.container(horizontal=True, vertical_alignment="center", key="explorer-search"):
        if asked.over:
            _answer(asked, front, chosen, measured)
        elif job is not None and job.active:
            step = progress_of(job)
            st.progress(
                step.done / step.total, text=f"{asked.what}: {step.done} of {step.total} settings of M, K and P ({job.seconds:.0f} s)"
            )
            st.button("Cancel the search", on_click=_cancel, args=(studio, grid_key(config)))
        elif job is not None:
            (st.error if job.state is JobState.FAILED else st.info)(status_text(job))
            st.button("Search again", on_click=studio.jobs.forget, args=(job.key,))
    if asked.over and front is not None and config.training.joint_epochs:
        with st.container(horizontal=True, vertical_alignment="center", key="explorer-front"):
            _front_status(asked, front, studio.front.job(config), studio)


def _answer(asked: Asked, front: Front | None, chosen: Configuration, measured: MeasuredIndex | None) -> None:
    answer = asked.answer if front is None else front.answer
    if answer is None:
        st.markdown(f"**{asked.what}: nothing fits.** The smallest index found takes {_smallest(front)}.")
        return
    searched = "" if front is None else f" ({len(front.found.points):,} previews searched in {front.found.seconds:.0f} s)"
    figures = f"validation recall {answer.recall:.3f} at {answer.size_bytes / 1e6:.2f} MB"
    if front is not None and front.is_tuned(answer):
        before = "" if asked.answer is None else f"; of the previews it was {setting_text(asked.answer)} with {asked.answer.recall:.3f}"
        searched, figures = "", f"{figures}, fine-tuned{before}"
    st.markdown(f"**{asked.what}: {setting_text(answer)}**{searched}: {figures}.")
    target = opened(asked.at, answer)
    if target[:-1] != chosen[:-1]:
        st.button("Open it", on_click=go_to, args=(target,))
    elif measured is not None and measured.finished and asked.megabytes is not None:
        _back_under(asked.megabytes, chosen, measured)


def _front_status(asked: Asked, front: Front, job: JobSnapshot | None, studio: Studio) -> None:
    done = f"**{len(front.tuned)} of {len(front.settings)}** settings of the front are fine-tuned"
    config = chosen_config(asked.at, studio.config)
    if job is not None and job.active and owner_id() in job.owners:
        now = front_progress(job)
        told = "" if now is None else f"; now M = {now.codes[0]}, K = {now.codes[1]}, P = {now.codes[2]}: "
        if now is not None:
            told += "waits while something else is trained or measured" if now.waits else f"epoch {now.n_epochs}"
        st.markdown(f"{done}{told}.")
        st.button("Stop fine-tuning the front", on_click=_stop, args=(studio, config))
    elif front.is_whole:
        st.markdown(f"{done}, all epochs each: the answer above is theirs.")
    else:
        failed = job is not None and job.state is JobState.FAILED
        st.markdown(f"{done}. {status_text(job)}" if failed else f"{done}; the rest is not going on.")
        st.button("Go on with the front", on_click=_go_on, args=(studio, config))


def _back_under(megabytes: float, chosen: Configuration, measured: MeasuredIndex) -> None:
    """Offer the threshold that fits, where fine-tuning has changed the size."""
    size = measured.point(chosen.stop).total_bytes
    best = measured.curve.best_under(1e6 * megabytes)
    if size > 1e6 * megabytes and best is not None:
        st.button(
            f"Back under {megabytes:g} MB", on_click=set_threshold, args=(KEPT.options[best],), help="Fine-tuning has changed the size."
        )


def _tunes_front(asked: Asked, config: RunConfig, studio: Studio) -> bool:
    """Start or join the fine-tuning of the front, unless it was stopped or failed; returns whether it is under way.

    It ends when the visitor goes to another backbone, whose settings have a front of their own.
    """
    found = studio.grids.found(config)
    if found is None or not config.training.joint_epochs:
        return False
    if grid_key(chosen_config(chosen_now(), studio.config)) != grid_key(config):
        let_go()
        return False
    settings, job = _settings(asked, found), studio.front.job(config)
    if asked.stopped or len(studio.front.found(config, settings)) == len(settings) or (job is not None and job.state is JobState.FAILED):
        return False
    if job is None or not job.active or owner_id() not in job.owners:
        job = studio.front.start(config, settings, owner_id())
    hold(PAGE, studio.jobs.key(job.key), partial(studio.jobs.cancel, job.key, owner_id()))
    want_in_tab(job.key, studio)
    return job.active


def _settings(asked: Asked, found: SearchedGrid) -> list[tuple[int, int, int]]:
    """The settings of the front, in the order of their fine-tuning."""
    budget = None if asked.megabytes is None else 1e6 * asked.megabytes
    return front_settings(found.points, answer_of(found.points, asked.megabytes), budget)


def _smallest(front: Front | None) -> str:
    return "more" if front is None or not front.found.points else f"{min(point.size_bytes for point in front.found.points) / 1e6:.3g} MB"


def _cancel(studio: Studio, key: str) -> None:
    studio.jobs.cancel(key, owner_id())
    st.session_state[SEARCH] = None


def _stop(studio: Studio, config: RunConfig) -> None:
    studio.jobs.cancel(front_key(config), owner_id())
    st.session_state[SEARCH] = st.session_state[SEARCH]._replace(stopped=True)


def _go_on(studio: Studio, config: RunConfig) -> None:
    studio.jobs.forget(front_key(config))
    st.session_state[SEARCH] = st.session_state[SEARCH]._replace(stopped=False)
