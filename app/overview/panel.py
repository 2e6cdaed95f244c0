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
from app.measured.comparison import Comparison, Step
from app.models.backbones import backbone_key
from app.session import loaders
from app.session.live_panel import keep_live, live_panel
from app.session.opened_studios import MOST_OPENED
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import settings_text
from app.session.visitor import owner_id, want_in_tab
from app.studio import COMPARISON_KEY, Studio
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import ALL_TO_ALL, MODELS, SERVED_BY, SPARCODE, TWO_TOWER, runnable
from sparcode.config import DEFAULT_K
from sparcode.data.profile import profile_of
from sparcode.metrics.registry import METRICS

POLL_SECONDS: Final = 1.0
_LIVE: Final = "comparison_live"


def comparison(studio: Studio) -> None:
    """The table, or the button that starts it; it reruns by itself while models are being trained."""
    recorded_notes(studio)
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def table_of(rows: Sequence[Measurement]) -> pd.DataFrame:
    """Rows as a table for people."""
    k = rows[0].k if rows else DEFAULT_K
    return pd.DataFrame(
        [
            {
                "model": row.name,
                "served by": SERVED_BY.get(row.name, ""),
                f"Recall@{k}": METRICS["recall"].text(row.recall),
                f"NDCG@{k}": METRICS["ndcg"].text(row.ndcg),
                "median (ms)": f"{row.p50_ms.middle:.2f}",
                "p95 (ms)": f"{row.p95_ms.middle:.2f}",
                "search data (MB)": f"{row.size_bytes / 1e6:,.2f}",
                "training (s)": f"{row.train_seconds:.1f}",
            }
            for row in rows
        ]
    )


def _panel(studio: Studio) -> None:
    job = studio.jobs.get(COMPARISON_KEY)
    active = job is not None and job.active
    known = studio.comparison
    if known is not None and known.recording is not None and (measured := _rows_of(job)) and active:
        # Rows measured here replace recorded ones, even if incomplete.
        known = Comparison(tuple(measured), ())
    rows = known.rows if known else _rows_of(job)
    if rows:
        _kind(known)
        figures_are_of(FiguresOf("Overview", studio, studio.config, recording=known.recording if known else None))
        said = "Figures of SparCode and its peers"
        data_table(table_of(rows), said, "overview-peers", plain=True, hide_index=True, border="horizontal")
        _reading(rows, known, studio)
    if active:
        _progress(job, studio)
    elif studio.comparison is None or studio.comparison.recording is not None:
        _start(job, studio)
    keep_live(_LIVE, active)


def _start(job: JobSnapshot | None, studio: Studio) -> None:
    if job is not None and job.state in (JobState.FAILED, JobState.CANCELLED):
        st.error(status_text(job))
    recorded = studio.comparison is not None
    if not recorded:
        names = ", ".join(peer.name for peer in runnable(MODELS, studio.split)[0])
        st.markdown(f"{names}: trained and measured on this machine with the same users.")
    label = "Measure on this machine" if recorded else "Train and compare the models"
    help_text = "Measures the recorded models here, and trains their peers." if recorded else None
    if st.button(label, type="secondary" if recorded else "primary", help=help_text):
        # Also retry a backbone whose training failed or was cancelled.
        studio.backbones.retry(studio.config, owner_id())
        want_in_tab(backbone_key(studio.config), studio)
        studio.start_comparison(owner_id())
        st.rerun()


def _progress(job: JobSnapshot, studio: Studio) -> None:
    steps = [record for record in job.records if isinstance(record, Step)]
    text = status_text(job)
    if steps and job.state is JobState.RUNNING:
        last = steps[-1]
        text = (
            f"{last.name[0].upper()}{last.name[1:]}" + (f", epoch {last.record.epoch}" if last.record else "") + f" ({job.seconds:.0f} s)"
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{text} ...")
        if owner_id() not in job.owners:
            st.caption("Another visitor wants it, who alone can cancel it.")
        elif st.button("Cancel"):
            studio.jobs.cancel(job.key, owner_id())
            st.rerun()


def _rows_of(job: JobSnapshot | None) -> list[Measurement]:
    return [] if job is None else [record for record in job.records if isinstance(record, Measurement)]


def _kind(known: Comparison | None) -> None:
    if known is not None and known.recording is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            kind_badge("recorded", known.recording)
            st.markdown(f"trained and measured {known.recording.day_words}: accuracy and sizes hold here, too, times may not")


def _origin(rows: Sequence[Measurement], known: Comparison | None, studio: Studio) -> tuple[str, str]:
    """Where models were trained, and what they were measured on."""
    if known is not None and known.recording is not None:
        return "All trained", f"Trained and measured {known.recording.words}."
    where = f"Measured on this machine: {studio.machine}."
    trained = [row for row in rows if row.trained_where]
    if not trained:
        return "All trained here", where
    names = " and ".join(row.name for row in trained)
    return f"{names} trained {trained[0].trained_where}, the others here,", where


def _reading(rows: Sequence[Measurement], known: Comparison | None, studio: Studio) -> None:
    recall = {row.name: row.recall for row in rows}
    # Too little data may have no hit at all.
    if {SPARCODE, TWO_TOWER, ALL_TO_ALL} <= recall.keys() and recall[ALL_TO_ALL] and recall[TWO_TOWER]:
        st.markdown(
            f"SparCode reaches **{recall[SPARCODE] / recall[ALL_TO_ALL]:.0%}** of the recall of the all-to-all model it stands for, "
            f"and **{recall[SPARCODE] / recall[TWO_TOWER]:.0%}** of two-tower's."
        )
    for reason in known.left_out if known else ():
        st.markdown(reason)
    trained, measured = _origin(rows, known, studio)
    st.caption(
        f"{trained} on **{data_name(studio)}**, one seed ({studio.config.training.seed}), means over "
        f"{rows[0].n_queries:,} test users: differences of a few thousandths are chance. Latency: {rows[0].n_timed} single queries, "
        "encoding included. Search data: the index, item vectors or network that a query is matched with. The catalogue is small "
        f"({studio.interactions.n_items:,} items); all of these times grow with its size, that of SparCode with the scores it keeps. "
        f"{measured}"
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
