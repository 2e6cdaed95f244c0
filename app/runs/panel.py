"""Any set of runs side by side: one sentence on two of them, curves, figures with their spread, settings that differ, users won."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.charts.run_curves import curves_takeaway, latency_curves, run_curves_figure, size_curves
from app.charts.user_differences import user_differences_data, user_differences_figure
from app.components.figure_tiles import Tile, figure_tiles
from app.components.live_chart import live_chart
from app.jobs.job import JobSnapshot
from app.kept.comparable import RunFacts
from app.kept.measured_runs import MeasuredRuns
from app.kept.run_figures import RunFigures
from app.kept.run_words import answer, difference_takeaway, in_markdown, run_label, unpaired
from app.measured.figures import delta, figure_text
from app.runs.chosen import chosen_runs, listed_runs
from app.runs.tables import figures_table, settings_table, thresholds_table, users_table
from app.session import loaders
from app.session.chosen_data import runs_folder
from app.session.error_words import error_words
from app.session.live_panel import keep_live, live_panel
from app.session.report import FiguresOf, figures_are_of
from app.session.visitor import owner_id, want_in_tab
from app.studio import Studio
from sparcode.comparison.paired import Paired, paired, user_differences
from sparcode.config import DEFAULT_K

POLL_SECONDS: Final = 0.7
HEIGHT: Final = 420
TRAIN: Final = Path(__file__).resolve().parents[2] / "pages" / "train.py"
TEST_HELP: Final = (
    "Sign-flip test: how often a mean difference at least as large comes up if it is chance which run has which of a user's two values. "
    "10,000 random flips with a fixed seed; all flips where 13 users or fewer differ. A small p speaks against chance; below 0.05 a "
    "difference is called one. It is about these two models: trained again with another seed, a setting may do better or worse, as the "
    "spread over seeds shows."
)
_LIVE: Final = "runs_live"


def compare_runs() -> None:
    """The whole panel; it reruns by itself while runs are measured, without the rest of the page."""
    live_panel(_panel, _LIVE, POLL_SECONDS, loaders.opened().first)


def _panel(studio: Studio) -> None:
    # First on the page, filled once the figures are known.
    answered = st.container()
    measured = loaders.opened().runs
    choice = chosen_runs(measured.runs)
    with st.container():
        for text in choice.warnings:
            st.warning(text)
    with st.container():
        _how_to_get_more(measured)
    with st.container():
        facts, active = _followed(choice.names, measured, studio)
    found = [figures for name in facts if (figures := measured.figures(name)) is not None]
    names = [run.facts.name for run in found]
    figures_are_of(FiguresOf("Compare runs", studio, called=", ".join(map(run_label, names)), other_data=_data_words(found)))
    if found:
        _figures(found, choice.pair, answered)
    else:
        answered.markdown("#### Which of your runs is better, and is the difference more than chance?")
    if len(facts) > 1:
        st.markdown("##### What differs in their settings")
        settings_table(list(facts.values()))
    if found:
        with st.expander("All measured thresholds", on_change="rerun", key="runs-all") as folded:
            if folded.open:
                thresholds_table(found)
        _origin(found, studio)
    keep_live(_LIVE, active)


def _how_to_get_more(measured: MeasuredRuns) -> None:
    n_runs = len(measured.runs.in_folder())
    if n_runs >= 2:
        return
    some = "No run is kept yet" if n_runs == 0 else "One run is kept so far"
    recorded = " Until then you can compare the recorded ones." if measured.runs.recorded() else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{some}. Train one and keep it by a name, then it can be chosen here.{recorded}", width="content")
        st.page_link(TRAIN, label="**Train a run →**")


def _followed(names: Sequence[str], measured: MeasuredRuns, studio: Studio) -> tuple[dict[str, RunFacts], bool]:
    """Start what is not measured yet; returns the runs whose description can be read, and whether work goes on."""
    facts: dict[str, RunFacts] = {}
    jobs: list[tuple[str, JobSnapshot]] = []
    for name in names:
        try:
            facts[name] = measured.runs.facts(name)
        except ValueError as error:
            _refused(name, str(error))
            continue
        job = measured.ensure(name, owner_id())
        if job is not None and job.active:
            want_in_tab(job.key, studio)
            jobs.append((name, job))
        elif job is not None:
            _refused(name, job.error or "it was cancelled")
            st.button("Try again", on_click=measured.retry, args=(name,), key=f"runs-retry-{name}")
    if jobs:
        done = len(facts) - len(jobs)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.progress(
                done / max(1, len(facts)), text=f"Measuring {run_label(jobs[0][0])} on this machine: {done} of {len(facts)} are done"
            )
            st.button("Cancel", on_click=_cancel, args=([name for name, _ in jobs], measured), key="runs-cancel")
    return facts, bool(jobs)


def _cancel(names: Sequence[str], measured: MeasuredRuns) -> None:
    for name in names:
        measured.cancel(name, owner_id())


def _refused(name: str, reason: str) -> None:
    st.error(f"The run **{in_markdown(name)}** cannot be compared.")
    # It may have names of strangers in it.
    st.text(error_words(ValueError(reason), runs_folder()))


def _figures(found: Sequence[RunFigures], pair: tuple[str, str] | None, answered: DeltaGenerator) -> None:
    by_name = {run.facts.name: run for run in found}
    first, second = (by_name.get(name) for name in pair or ("", ""))
    test, version = None, " ".join(sorted(by_name))
    if first is not None and second is not None:
        same = first.facts.same_users == second.facts.same_users
        test = paired(first.recall_by_user, second.recall_by_user) if same else None
        said = answer(first, second, test) if test else unpaired(first, second)
        answered.markdown(f"#### {said}", help=TEST_HELP if test else None)
        figure_tiles(_tiles(first, second, test), "tiles-runs", f"{version} {pair}", says_kind=False)
    else:
        answered.markdown(f"#### {_alone(found, awaited=pair is not None)}")
    with st.grid(2, min_column_width=480):
        for key, data in (("runs-size", size_curves(found)), ("runs-latency", latency_curves(found))):
            live_chart(run_curves_figure, data, key, f"{data.title}: {curves_takeaway(data)}.", HEIGHT)
    st.caption(
        "A point is a threshold; the large marker is the one that a run was trained with. Thresholds of much lower recall lie below "
        "what is shown; they are in the table of all measured thresholds."
    )
    st.markdown("##### Figures, with their spread over seeds")
    figures_table(found)
    if test is not None:
        _users(first, second, test)


def _alone(found: Sequence[RunFigures], awaited: bool) -> str:
    run = found[0]
    then = "the other run is still being measured" if awaited else "choose another run beside it"
    return (
        f"**{in_markdown(run.facts.name)}** finds Recall@{DEFAULT_K} {run.own_recall:.3f} with {run.own_bytes / 1e6:.2f} MB in "
        f"{run.own_ms:.3f} ms: {then}"
    )


def _tiles(first: RunFigures, second: RunFigures, test: Paired | None) -> list[Tile]:
    """The second run, with its differences to the first."""
    than = f"{run_label(second.facts.name)}, beside {run_label(first.facts.name)}"
    values = (
        ("recall", f"Recall@{DEFAULT_K}", second.own_recall, first.own_recall),
        ("size_bytes", "Index size", second.own_bytes, first.own_bytes),
        ("p50_ms", "Latency, median", second.own_ms, first.own_ms),
    )
    # Names of their own: these tiles do not follow a threshold.
    tiles = [
        Tile(f"runs-{name}", label, "", figure_text(name, value), f"{figure_text(name, before)} of the other", delta(name, value, before))
        for name, label, value, before in values
    ]
    tiles[0] = tiles[0]._replace(caption=than)
    if test is not None:
        caption = f"{test.ties:,} tied; {test.low:+.3f} to {test.high:+.3f} on average (95%)"
        tiles.append(Tile("runs-users", "Users won : lost", "", f"{test.wins:,} : {test.losses:,}", caption))
    return tiles


def _users(first: RunFigures, second: RunFigures, test: Paired) -> None:
    a, b = run_label(first.facts.name), run_label(second.facts.name)
    st.markdown("##### Users won and lost")
    change = user_differences(first.recall_by_user, second.recall_by_user)
    data = user_differences_data(difference_takeaway(test), a, b, change)
    live_chart(user_differences_figure, data, "runs-users-chart", f"{data.title}. From {a} to {b}, {test.n_users:,} test users.", HEIGHT)
    st.caption(
        f"{test.n_users:,} test users of both runs, one by one: the mean difference is {test.mean:+.4f}, its 95% bootstrap interval "
        f"{test.low:+.4f} to {test.high:+.4f}; the sign-flip test gives p = {test.p_value:.3g}.",
        help=TEST_HELP,
    )
    with st.expander("Show data: every test user under both runs", on_change="rerun", key="runs-users") as folded:
        if folded.open:
            users_table(first, second)


def _data_words(found: Sequence[RunFigures]) -> str:
    return ", ".join(dict.fromkeys(run.facts.data_name for run in found)) or "none yet"


def _origin(found: Sequence[RunFigures], studio: Studio) -> None:
    beside = " Other jobs ran beside the timing, so times are upper bounds." if any(run.busy for run in found) else ""
    st.caption(
        f"{listed_runs([run.facts.name for run in found])}: every figure is measured here from the runs' own models and indexes, on the "
        f"test users of their own data and split. Measured on this machine: {studio.machine}.{beside}"
    )
