"""The search of all settings: asked for at a click, its progress and answer, and the chart of everything it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import pandas as pd
import streamlit as st

from app.charts.setting_front import setting_front_data, setting_front_figure
from app.components.live_chart import live_chart
from app.jobs.job import JobState, status_text
from app.measured.measured_index import MeasuredIndex
from app.measured.setting_grids import GRID, SearchedGrid, grid_key, progress_of
from app.session.chosen_data import SEARCH, chosen_config
from app.session.configuration import Configuration
from app.session.settings import KEPT
from app.session.visitor import owner_id, want_in_tab
from app.session.widgets import chosen_now, go_to, set_threshold
from app.studio import Studio
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.setting_grid import GridPoint, best_under, smallest_within
from sparcode.config import DEFAULT_K

NEAR_BEST: Final = 0.99
HEIGHT: Final = 420


class Asked(NamedTuple):
    """A search that this visitor asked for: the budget (None: the smallest near the best), at which setting, and the answer once `over`."""

    megabytes: float | None
    at: Configuration
    answer: GridPoint | None = None
    started: bool = False
    over: bool = False

    @property
    def what(self) -> str:
        """What was asked for, in words."""
        return f"Best under {self.megabytes:g} MB" if self.megabytes is not None else "Smallest within 1 % of the best"


def ask(megabytes: float | None, chosen: Configuration) -> None:
    """Ask for the best setting of at most so many megabytes, or (None) for the smallest one near the best; call from a callback."""
    st.session_state[SEARCH] = Asked(megabytes, chosen)


def settle(studio: Studio) -> bool:
    """Go on with the search asked for, and open its answer once it is there; call before the widgets. Returns whether it is under way.

    The answer is not opened by itself if the visitor has moved on to another setting meanwhile.
    """
    asked: Asked | None = st.session_state.get(SEARCH)
    if asked is None or asked.over:
        return False
    config = chosen_config(asked.at, studio.config)
    found = studio.grids.found(config)
    if found is not None:
        answer = answer_of(found.points, asked.megabytes)
        st.session_state[SEARCH] = asked._replace(answer=answer, over=True)
        if answer is not None and chosen_now() == asked.at:
            go_to(opened(asked.at, answer))
        return False
    job = studio.grids.job(config)
    if job is None or not asked.started:
        # Also after one that was cancelled or failed.
        job = studio.grids.start(config, owner_id())
        st.session_state[SEARCH] = asked._replace(started=True)
    want_in_tab(grid_key(config), studio)
    return job.active


def answer_of(points: Sequence[GridPoint], megabytes: float | None) -> GridPoint | None:
    """The point asked for, see `ask`; None if nothing fits."""
    return smallest_within(points, NEAR_BEST) if megabytes is None else best_under(points, 1e6 * megabytes)


def opened(chosen: Configuration, point: GridPoint) -> Configuration:
    """A choice with M, K, P and threshold of a point."""
    return chosen._replace(m=str(point.n_codebooks), k=str(point.codebook_size), p=str(point.n_nearest), keep=KEPT.options[point.place])


def search_status(studio: Studio, chosen: Configuration, measured: MeasuredIndex | None) -> None:
    """One line on the search asked for: its progress, or its answer."""
    asked: Asked | None = st.session_state.get(SEARCH)
    if asked is None:
        return
    config = chosen_config(asked.at, studio.config)
    job = studio.grids.job(config)
    with st.container(horizontal=True, vertical_alignment="center", key="explorer-search"):
        if asked.over:
            _answer(asked, studio.grids.found(config), chosen, measured)
        elif job is not None and job.active:
            step = progress_of(job)
            st.progress(
                step.done / step.total, text=f"{asked.what}: {step.done} of {step.total} settings of M, K and P ({job.seconds:.0f} s)"
            )
            st.button("Cancel the search", on_click=_cancel, args=(studio, grid_key(config)))
        elif job is not None:
            (st.error if job.state is JobState.FAILED else st.info)(status_text(job))
            st.button("Search again", on_click=studio.jobs.forget, args=(job.key,))


def _answer(asked: Asked, found: SearchedGrid | None, chosen: Configuration, measured: MeasuredIndex | None) -> None:
    if asked.answer is None:
        st.markdown(f"**{asked.what}: nothing fits.** The smallest index found takes {_smallest(found)}.")
        return
    answer, target = asked.answer, opened(chosen, asked.answer)
    searched = "" if found is None else f" ({len(found.points):,} previews searched in {found.seconds:.0f} s)"
    st.markdown(
        f"**{asked.what}: {setting_text(answer)}**{searched}: validation recall {answer.recall:.3f} at {answer.size_bytes / 1e6:.2f} MB."
    )
    if target[:-1] != chosen[:-1]:
        st.button("Open it", on_click=go_to, args=(target,))
    elif measured is not None and measured.finished and asked.megabytes is not None:
        _back_under(asked.megabytes, chosen, measured)


def _back_under(megabytes: float, chosen: Configuration, measured: MeasuredIndex) -> None:
    """Offer the threshold that fits, where fine-tuning has changed the size."""
    size = measured.point(chosen.stop).total_bytes
    best = measured.curve.best_under(1e6 * megabytes)
    if size > 1e6 * megabytes and best is not None:
        st.button(
            f"Back under {megabytes:g} MB", on_click=set_threshold, args=(KEPT.options[best],), help="Fine-tuning has changed the size."
        )


def setting_text(point: GridPoint) -> str:
    """A point's setting in words."""
    kept = KEPT.options[point.place]
    return f"M = {point.n_codebooks}, K = {point.codebook_size}, P = {point.n_nearest}, {kept} % kept"


def front_chart(studio: Studio, chosen: Configuration) -> None:
    """Everything the search found, and its front as a table; both open a setting. Nothing before a search."""
    asked: Asked | None = st.session_state.get(SEARCH)
    found = studio.grids.found(chosen_config(chosen, studio.config))
    if asked is None or found is None:
        return
    answer = answer_of(found.points, asked.megabytes)
    st.subheader("All settings searched", anchor=False)
    texts = [setting_text(point) for point in found.points]
    title, n_settings = takeaway(found.points, answer), GRID.n_settings - found.left_out

    def pick(number: int) -> None:
        go_to(opened(chosen, found.points[number]))

    data = setting_front_data(title, found.points, texts, answer, asked.megabytes)
    live_chart(setting_front_figure, data, "chart-front", f"{title}. Recall against size of {len(texts)} settings.", HEIGHT, pick)
    st.caption(
        f"Previews: k-means on the trained backbone, nothing fine-tuned, so all settings are compared alike; {n_settings} of "
        f"{GRID.n_settings} settings of M, K and P ({found.left_out} have more than {GRID.max_codes:,} codes) at "
        f"{len(found.points) // max(1, n_settings)} thresholds. Recall is of validation users, which choose; the figures above are of test "
        "users. Click a point, or pick a row, to open its setting."
    )
    _front_table(found.points, chosen)


def takeaway(points: Sequence[GridPoint], answer: GridPoint | None) -> str:
    """The answer beside the best of all points, in numbers."""
    best = max(points, key=lambda point: (point.recall, -point.size_bytes))
    size, most = (0.0 if point is None else point.size_bytes / 1e6 for point in (answer, best))
    if answer is None:
        return f"Best of all: recall {best.recall:.3f} at {most:.3g} MB"
    if answer == best:
        return f"The best of all fits: recall {best.recall:.3f} at {size:.3g} MB"
    ratio = f"{most / size:,.0f}" if most >= 10 * size else f"{most / size:.1f}"
    return f"{ratio} times smaller for {best.recall - answer.recall:.3f} recall: {most:.3g} → {size:.3g} MB"


def _front_table(points: Sequence[GridPoint], chosen: Configuration) -> None:
    front = pareto_front(points, lambda point: point.size_bytes)
    table = pd.DataFrame(
        {
            "M": [point.n_codebooks for point in front],
            "K": [point.codebook_size for point in front],
            "P": [point.n_nearest for point in front],
            "scores kept (%)": [KEPT.options[point.place] for point in front],
            "index size (MB)": [point.size_bytes / 1e6 for point in front],
            f"Recall@{DEFAULT_K}, validation": [point.recall for point in front],
        }
    )

    def picked() -> None:
        rows = st.session_state["front-table"].selection.rows
        if rows:
            go_to(opened(chosen, front[rows[0]]))

    with st.expander(f"The {len(front)} settings of the front as a table"):
        st.dataframe(table, hide_index=True, key="front-table", on_select=picked, selection_mode="single-row", alt="Settings of the front")


def _smallest(found: SearchedGrid | None) -> str:
    return "more" if found is None or not found.points else f"{min(point.size_bytes for point in found.points) / 1e6:.3g} MB"


def _cancel(studio: Studio, key: str) -> None:
    studio.jobs.cancel(key, owner_id())
    st.session_state[SEARCH] = None
