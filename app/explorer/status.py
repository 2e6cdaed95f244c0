"""Messages of the Index Explorer: progress, failures, and what to do next."""

from __future__ import annotations

import streamlit as st

from app.components.provenance import kind_badge
from app.explorer.search import NEAR_BEST
from app.jobs.job import JobState, epochs_of, status_text
from app.measured.measured_index import MeasuredIndex
from app.measured.recorded_figures import RecordedFigures
from app.measured.setting_jobs import View
from app.measured.verdict import ERRORS
from app.session.settings import KEPT
from app.session.visitor import owner_id
from app.session.widgets import set_threshold
from app.studio import Studio
from sparcode.comparison.paired import most_error
from sparcode.metrics.evaluation import ExplorerPoint
from sparcode.metrics.registry import METRICS


def lead(measured: MeasuredIndex | None) -> str:
    """What this setting comes to over all thresholds, and what to do."""
    stop = None if measured is None or measured.is_preview or not measured.complete else measured.curve.smallest_within(NEAR_BEST)
    if stop is None:
        return "**Drag the threshold**: all figures follow."
    point, most = measured.point(stop), measured.curve.recall.max()
    size, recall = METRICS["size_bytes"].text(point.total_bytes), METRICS["recall"].text(point.recall)
    # The most that two standard errors can be.
    noise = ERRORS * most_error(point.recall, len(measured.explorer.evaluation.queries))
    return f"**{size} are enough for {point.recall / most:.0%} of its best recall**: {recall} (±{noise:.3f}). **Drag the threshold.**"


def status(view: View, studio: Studio) -> None:
    """One line: the kind of the figures, and what is being trained."""
    with st.container(horizontal=True, vertical_alignment="center", key="explorer-status"):
        kind_badge(view.measured.called, view.measured.recording)
        if view.waiting is not None and view.waiting.state is JobState.FAILED:
            st.markdown(status_text(view.waiting))
            if st.button("Try again"):
                studio.jobs.forget(view.waiting.key)
                st.rerun()
        elif not view.measured.is_preview and (not is_training(view) or view.measured.records == tuple(epochs_of(view.tuning))):
            # The rest of its curve may still be being measured.
            _tuned(view, studio)
        elif view.tuning is not None:
            _tuning(view, studio)
        else:
            st.markdown("being measured; fine-tuning follows" if view.active else "measured straight after k-means")


def plain_words(view: View, point: ExplorerPoint) -> None:
    """Warnings about the index at this threshold, and what to do."""
    if point.kept_postings == 0:
        st.warning("This threshold is above every score: the index is empty and no query gets an item. Move the threshold to the left.")
        st.button("Back to the threshold the model was trained for", on_click=set_threshold, args=(KEPT.start,))
    elif point.short_results:
        explorer = view.measured.explorer
        few = explorer.index.n_items <= explorer.k
        reason = f"the catalogue has only {explorer.index.n_items:,}" if few else "too few scores are above the threshold"
        n_queries = len(explorer.evaluation.queries)
        st.warning(f"{point.short_results:,} of {n_queries:,} test queries get fewer than {explorer.k} items here, because {reason}.")
    if view.measured.usage.codes_in_use == 1:
        st.warning("All queries share one code, so everyone gets the same items. More codewords K or codebooks M tell them apart.")


def curve_note(view: View, recorded: RecordedFigures | None = None) -> str:
    """How much of the threshold's curve is measured, in words; `recorded` figures may stand in for it."""
    if view.measured is None:
        return "no figures yet" if recorded is None else f"{len(recorded.curve.stops)} recorded thresholds"
    measured, total = len(view.measured.curve.stops), len(view.measured.stops)
    density = METRICS["density"].label.lower()
    return f"all {total} thresholds measured" if measured == total else f"{measured} of {total} thresholds ({density}) measured so far"


def is_training(view: View) -> bool:
    """Whether fine-tuning is under way."""
    return view.tuning is not None and view.tuning.active


def _tuning(view: View, studio: Studio) -> None:
    """Fine-tuning under way, or ended without a model."""
    job, config = view.tuning, view.config
    if view.had_no_time and not job.active:
        _failure(view)
        st.markdown("measured straight after k-means; no fine-tuning fitted into the time of a live demonstration")
        _train_all_epochs(view, studio)
        return
    st.markdown(status_text(job))
    if job.active and owner_id() in job.owners:
        if st.button("Cancel fine-tuning"):
            studio.setting_jobs.cancel_tuning(config, owner_id())
            st.rerun()
        return
    if job.active:
        st.markdown("You cancelled it. It goes on because another visitor wants it.")
    if st.button("Join it again" if job.active else "Fine-tune again"):
        studio.setting_jobs.retry_tuning(config, owner_id())
        st.rerun()


def _failure(view: View) -> None:
    if view.tuning is not None and view.tuning.state is JobState.FAILED:
        st.markdown(status_text(view.tuning))


def _tuned(view: View, studio: Studio) -> None:
    measured = view.measured
    if measured.cut_short or measured.recording is not None:
        # The button below repeats a training that was to replace this model.
        _failure(view)
    if measured.recording is not None and measured.recording.run:
        st.markdown(f"kept {measured.recording.day_words} as **{measured.recording.run}**: {measured.training_text}")
        return
    if measured.recording is not None:
        st.markdown(f"fine-tuned in {measured.seconds:.0f} s {measured.recording.day_words}: {measured.training_text}")
        if st.button("Fine-tune here", help="Trains all epochs on this machine, live; the new model takes the recorded one's place."):
            studio.setting_jobs.start_tuning(view.config, owner_id(), full=True, anew=True)
            st.rerun()
        return
    st.markdown(f"fine-tuned in {measured.seconds:.0f} s: {measured.training_text}, on validation users")
    if measured.cut_short:
        _train_all_epochs(view, studio)


def _train_all_epochs(view: View, studio: Studio) -> None:
    most = view.config.training.joint_epochs
    if st.button(f"Train all {most} epochs", help="More epochs did not fit into the time of a live demonstration."):
        studio.setting_jobs.start_tuning(view.config, owner_id(), full=True)
        st.rerun()
