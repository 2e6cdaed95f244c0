"""The Index Explorer: three sliders, four answers, charts, and the training behind them, live."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import loaders
from app.backbones import backbone_key
from app.components.answers import cards, show_latency, show_recall, show_size, show_usage
from app.components.explorer_charts import index_charts, numbers, trade_off_charts, training_chart
from app.components.job_status import epochs_of, status_text
from app.components.provenance import kind_badge, provenance
from app.job_snapshot import JobState
from app.owner import owner_id
from app.state import CODEBOOK_SIZE, CODEBOOKS, KEPT, quantizer_config, refused_settings, slider
from app.studio import Studio
from app.threshold_stops import KEPT_PERCENTS
from app.view import View
from sparcode.evaluation import ExplorerPoint
from sparcode.metrics.registry import METRICS

POLL_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 1.0
_LIVE: Final = "explorer_live"
_SHOWN: Final = "explorer_shown"


def explorer() -> None:
    """The whole panel. It reruns by itself while something is under way, without the rest of the page."""
    for text in refused_settings():
        st.warning(text)
    studio = loaders.studio()
    poll = POLL_SECONDS if st.session_state.get(_LIVE) else None
    st.fragment(_panel, run_every=poll)(studio)


def _panel(studio: Studio) -> None:
    with st.container(gap="xsmall"):
        columns = st.columns((2, 3, 5), gap="large")
        values = []
        for column, setting in zip(columns, (CODEBOOKS, CODEBOOK_SIZE, KEPT), strict=True):
            with column:
                values.append(slider(setting))
        config = studio.run_config(quantizer_config(*values[:2]))
        left = st.session_state.get(_SHOWN, config)
        if left != config:
            studio.leave(left, owner_id(), to=config)
        st.session_state[_SHOWN] = config
        view = studio.view(config, owner_id(), WAIT_SECONDS)
        if view.stage is None:
            _first_visit(view, studio)
        else:
            _figures(view, studio, KEPT_PERCENTS.index(values[2]))
    # The timer is set where the fragment is called, so a change of pace needs the whole page once.
    if view.active != st.session_state.get(_LIVE, False):
        st.session_state[_LIVE] = view.active
        st.rerun()


def _first_visit(view: View, studio: Studio) -> None:
    job, total = view.waiting, view.config.training.epochs
    key = backbone_key(view.config)
    if job is None or (job.key != key and job.active):
        st.info("The first figures of this setting are being measured.")
        return
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        st.error(status_text(job, total))
        if st.button("Try again"):
            if job.key == key:
                studio.backbones.retry(view.config, owner_id())
            studio.jobs.forget(job.key)
            st.rerun()
        return
    if job.key == key:
        st.info(
            "The backbone is being trained: the all-to-all model that every index on this data starts from. It takes some seconds, "
            "once. " + status_text(job, total)
        )
        training_chart("Training the backbone", epochs_of(job))


def _figures(view: View, studio: Studio, stop: int) -> None:
    stage = view.stage
    point = stage.point(stop)
    _status(view, studio, point)
    _plain_words(view, point)
    answer = cards()
    before = view.preview.point(stop) if view.preview is not None and view.preview is not stage and view.preview.complete else None
    show_recall(answer.recall, stage, point, before)
    show_size(answer.size, stage, point)
    show_usage(answer.usage, stage)
    with st.grid(3, min_column_width=380):
        records = stage.records if stage.kind == "fine-tuned" else epochs_of(view.tuning)
        trade_off_charts(view, studio, point)
        training_chart("Fine-tuning", records)
        index_charts(stage, point)
    # Last, because it takes a tenth of a second: everything else is on the page by then.
    show_latency(answer.latency, stage, stage.latency(stop, busy=view.active))
    provenance(stage, studio)
    with st.expander("The numbers behind the curves", on_change="rerun", key="explorer-numbers") as table:
        if table.open:
            numbers(stage)


def _status(view: View, studio: Studio, point: ExplorerPoint) -> None:
    with st.container(horizontal=True, vertical_alignment="center", height=42, border=False):
        kind_badge(view.stage.kind)
        tau = f"**τ = {point.tau:.4g}**"
        st.markdown(f"{tau} keeps {METRICS['density'].text(point.density)} of all scores" if view.stage.complete else tau)
        st.space("stretch")
        if view.waiting is not None and view.waiting.state is JobState.FAILED:
            st.markdown(status_text(view.waiting))
            if st.button("Try again"):
                studio.jobs.forget(view.waiting.key)
                st.rerun()
        elif view.stage.kind == "fine-tuned" and (not _is_training(view) or view.stage.records == tuple(epochs_of(view.tuning))):
            # The rest of its curve may still be on the way.
            _tuned(view, studio)
        elif view.tuning is not None:
            _tuning(view, studio)
        else:
            st.markdown("being measured; fine-tuning follows" if view.active else "measured straight after k-means")


def _is_training(view: View) -> bool:
    return view.tuning is not None and view.tuning.active


def _tuning(view: View, studio: Studio) -> None:
    """Fine-tuning that is under way, or ended without a model."""
    job, config = view.tuning, view.config
    st.markdown(status_text(job))
    if job.active and owner_id() in job.owners and st.button("Cancel fine-tuning"):
        studio.cancel_tuning(config, owner_id())
        st.rerun()
    if not job.active and st.button("Fine-tune again"):
        studio.retry_tuning(config, owner_id())
        st.rerun()


def _tuned(view: View, studio: Studio) -> None:
    stage, most = view.stage, view.config.training.joint_epochs
    n_epochs = len(stage.records) - 1
    best = f"best of the {n_epochs} epochs that fit" if stage.cut_short else f"best of {n_epochs} epochs"
    st.markdown(f"fine-tuned in {stage.seconds:.0f} s: {best}, on validation users")
    if stage.cut_short and st.button(f"Train all {most} epochs", help="More epochs did not fit into the time of a live demonstration."):
        studio.start_tuning(view.config, owner_id(), full=True)
        st.rerun()


def _plain_words(view: View, point: ExplorerPoint) -> None:
    if point.kept_postings == 0:
        st.warning("This threshold is above every score: the index is empty and no query gets an item. Move the threshold to the left.")
    elif point.short_results:
        n_queries = len(view.stage.explorer.evaluation.queries)
        st.warning(
            f"{point.short_results:,} of {n_queries:,} test queries get fewer than {view.stage.explorer.k} items here, because too few "
            "scores are above the threshold."
        )
