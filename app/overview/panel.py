"""The Overview: SparCode beside its peers, in a table that fills while the models are trained, and key numbers of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from app.components.data_profile import data_profile
from app.components.data_table import data_table
from app.components.provenance import data_name, kind_badge, recorded_notes
from app.jobs.job import JobSnapshot, JobState, status_text
from app.measured.rivals import Rival, rivals, suffices
from app.measured.serving import Progress, ServingResult, points_of
from app.measured.verdict import listed
from app.models.backbones import backbone_key
from app.session import loaders
from app.session.live_panel import keep_live, live_panel
from app.session.opened_studios import MOST_OPENED
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import settings_text
from app.session.visitor import owner_id, want_in_tab
from app.studio import COMPARISON_KEY, Studio
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, SEARCHED, SERVED_BY, SPARCODE, runnable
from sparcode.config import DEFAULT_K
from sparcode.data.profile import profile_of
from sparcode.metrics.registry import METRICS

POLL_SECONDS: Final = 1.0
_LIVE: Final = "comparison_live"


def comparison(studio: Studio) -> None:
    """The table, or the button that starts it; it reruns by itself while models are being trained."""
    recorded_notes(studio)
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def table_of(rows: Sequence[Rival]) -> pd.DataFrame:
    """Rows as a table for people: those of the page Compare, by falling recall."""
    k = rows[0].point.k if rows else DEFAULT_K
    return pd.DataFrame(
        [
            {
                "way to serve": row.point.name,
                "how": row.point.setting or SERVED_BY.get(row.point.name, ""),
                f"Recall@{k}": METRICS["recall"].text(row.point.recall),
                "against SparCode": "" if row.is_sparcode or math.isnan(row.noise) else f"{row.difference:+.3f} ± {row.noise:.3f}",
                f"NDCG@{k}": METRICS["ndcg"].text(row.point.ndcg),
                "median (ms)": f"{row.point.p50_ms.middle:.3f}",
                "p95 (ms)": f"{row.point.p95_ms.middle:.3f}",
                "memory (MB)": f"{row.point.size_bytes / 1e6:,.2f}",
            }
            for row in rows
        ]
    )


def _panel(studio: Studio) -> None:
    job, known = studio.jobs.get(COMPARISON_KEY), studio.serving.result(studio.config)
    active = job is not None and job.active
    # Figures measured here replace recorded ones, even if incomplete.
    under_way = rivals(points_of(job)) if active else []
    if under_way and (known is None or known.recording is not None):
        known, rows = None, under_way
    else:
        rows = [] if known is None else rivals(known.points)
    if rows:
        _kind(known)
        figures_are_of(_source(known, studio))
        data_table(table_of(rows), "Figures of SparCode and its peers", "overview-peers", plain=True, hide_index=True, border="horizontal")
        _reading(rows, known, studio)
    if active:
        _progress(job, studio)
    elif known is None or known.recording is not None:
        _start(job, known is not None, studio)
    keep_live(_LIVE, active)


def _source(known: ServingResult | None, studio: Studio) -> FiguresOf:
    if known is None:
        return FiguresOf("Overview", studio, studio.config)
    return FiguresOf("Overview", studio, studio.config, known.kind, known.recording)


def _start(job: JobSnapshot | None, recorded: bool, studio: Studio) -> None:
    if job is not None and job.state in (JobState.FAILED, JobState.CANCELLED):
        st.error(status_text(job))
    if not recorded:
        names = ", ".join(peer.name for peer in runnable(SEARCHED, studio.split)[0])
        st.markdown(f"{names}: trained and measured on this machine with the same users.")
    label = "Measure on this machine" if recorded else "Train and compare the models"
    help_text = "Measures the recorded models here, and fits their peers, for the page Compare, too." if recorded else None
    if st.button(label, type="secondary" if recorded else "primary", help=help_text):
        # Also retry a backbone whose training failed or was cancelled.
        studio.backbones.retry(studio.config, owner_id())
        want_in_tab(backbone_key(studio.config), studio)
        studio.start_comparison(owner_id())
        st.rerun()


def _progress(job: JobSnapshot, studio: Studio) -> None:
    steps = [record for record in job.records if isinstance(record, Progress)]
    text = status_text(job)
    if steps and job.state is JobState.RUNNING:
        last = steps[-1]
        text = last.step + (f": {last.done} of {last.total}" if last.total else "") + f" ({job.seconds:.0f} s)"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{text} ...")
        if owner_id() not in job.owners:
            st.caption("Another visitor wants it, who alone can cancel it.")
        elif st.button("Cancel"):
            studio.jobs.cancel(job.key, owner_id())
            st.rerun()


def _kind(known: ServingResult | None) -> None:
    if known is not None and known.recording is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            kind_badge("recorded", known.recording)
            st.markdown(f"trained and measured {known.recording.day_words}: accuracy and sizes hold here, too, times may not")


def _reading(rows: Sequence[Rival], known: ServingResult | None, studio: Studio) -> None:
    by_name = {row.point.name: row for row in rows}
    ours = by_name[SPARCODE].point
    # Too little data may have no hit at all.
    if {FLAT, ALL_TO_ALL} <= by_name.keys() and all(by_name[name].point.recall for name in (FLAT, ALL_TO_ALL)):
        of_all, of_two = (_share(ours, by_name[name]) for name in (ALL_TO_ALL, FLAT))
        st.markdown(f"SparCode reaches {of_all} of the recall of the all-to-all model it stands for, and {of_two} of two-tower's.")
    for reason in known.left_out if known else ():
        st.markdown(reason)
    where = f"Measured on this machine: {studio.machine}."
    if known is not None and known.recording is not None:
        where = f"Trained and measured {known.recording.words}."
    st.caption(
        f"Each at its least effort within 1% of its own best recall, as on the page Compare. **{data_name(studio)}**, one seed "
        f"({studio.config.training.seed}), means over {ours.n_queries:,} test users. {_chance(rows)}Latency: {ours.n_timed} single "
        "queries, encoding included. Memory: the index, item vectors or network that a query is matched with. "
        f"{_catalogue(rows, studio)}. {where}"
    )


def _share(ours: Measurement, row: Rival) -> str:
    """SparCode's recall as a share of another's, and whether the difference may be noise."""
    noise = f" (a difference within noise, ±{row.noise:.3f})" if row.recall == "same" and not math.isnan(row.noise) else ""
    return f"**{ours.recall / row.point.recall:.0%}**{noise}"


def _chance(rows: Sequence[Rival]) -> str:
    """From which difference on it is more than chance, by the differences of the same users; empty below two of them."""
    noises = [row.noise for row in rows if not row.is_sparcode and not math.isnan(row.noise)]
    if not noises:
        return ""
    return (
        "±: two standard errors of the difference to SparCode, user by user; a smaller one may be chance, here one of up to "
        f"{max(noises):.3f}. "
    )


def _catalogue(rows: Sequence[Rival], studio: Studio) -> str:
    """That the catalogue is small, where brute force is the right answer by these figures; else its size."""
    n_items, enough = studio.interactions.n_items, suffices(rows)
    if not enough:
        return f"The catalogue has {n_items:,} items; all of these times grow with it, that of SparCode with the scores it keeps"
    names = listed([row.point.name for row in enough])
    scores = "scores every item and is" if len(enough) == 1 else "score every item and are"
    return (
        f"At {n_items:,} items the catalogue is small: {names} {scores} neither slower nor less accurate than SparCode. All of these times "
        "grow with it, that of SparCode with the scores it keeps"
    )


def data_facts(studio: Studio) -> None:
    """Sizes of the data set and its split, its profile, and whether it is synthetic."""
    data, split = studio.interactions, studio.split
    figures_are_of(FiguresOf("Overview", studio))
    if studio.run_name:
        _kept(studio)
    if data.synthetic:
        st.info(
            f"**This is synthetic data**, made up by this project: {data_name(studio)}. It shows how the method behaves, "
            "not how well it does on real users."
        )
    else:
        st.markdown(f"**{data_name(studio)}**")
    with st.grid(3, min_column_width=170):
        st.metric("Users", f"{data.n_users:,}", border=True)
        st.metric("Items", f"{data.n_items:,}", border=True)
        st.metric("Interactions", f"{data.n_interactions:,}", border=True)
    dropped = {**data.dropped, **split.dropped}
    with st.expander(
        "Profile: history lengths, times, what was left out", on_change="rerun", key=f"data-profile-{studio.scope}"
    ) as profile:
        if profile.open:
            data_profile(profile_of(data, dropped), "chart-profile")
    st.markdown(
        f"Users are split: {len(split.train):,} train the models, {len(split.validation.queries):,} choose between epochs, and "
        f"{len(split.test.queries):,} are kept for the figures on these pages. Of those, the models see the first "
        f"{1 - studio.config.split.target_share:.0%} of a history and are to find the rest."
    )
    if beside := loaders.opened().open_beside():
        names = ", ".join(_named(one, studio) for one in beside)
        st.caption(
            f"Open beside the data that the studio was started with, by all visitors: {names}; {len(beside)} of at most {MOST_OPENED}. "
            "Another one closes the one longest unused without work under way: what was trained or measured for it here is made anew when "
            "it is opened again."
        )


def _named(one: Studio, studio: Studio) -> str:
    """The name of a studio that is open, for the visitor of `studio`; files are their owners' alone."""
    if one.own_data.private and one is not studio:
        return "a visitor's file"
    return f"run {one.run_name}" if one.run_name else data_name(one)


def _kept(studio: Studio) -> None:
    """What the kept run reached when it was trained."""
    plan, _, result = studio.own_training
    two_tower = "" if math.isnan(result.two_tower) else f", two-tower {METRICS['recall'].text(result.two_tower)}"
    st.markdown(
        f"The run **{studio.run_name}** ({settings_text(plan.config)}) was kept {plan.recording.day_words}. On test users, at its own "
        f"threshold: Recall@{DEFAULT_K} **{METRICS['recall'].text(result.recall)}** (all-to-all "
        f"{METRICS['recall'].text(result.all_to_all)}{two_tower}), index {METRICS['size_bytes'].text(result.size_bytes)}."
    )
