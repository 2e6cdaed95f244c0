"""Before a setting has figures: the training of its backbone, with a way to cancel it, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.charts.training_curve import training_curve_data, training_curve_figure
from app.components.live_chart import live_chart
from app.jobs.job import JobSnapshot, JobState, epochs_of, status_text
from app.measured.setting_jobs import View
from app.models.backbones import backbone_key
from app.session.visitor import owner_id
from app.studio import Studio
from sparcode.training.epoch_record import EpochRecord


def first_visit(view: View, studio: Studio, estimate: str = "", draws: bool = True) -> list[EpochRecord] | None:
    """Before a setting has figures: the backbone's training, or why there is none; returns the epochs so far of a training under way.

    `estimate` says how long it may take, before that can be told from its epochs. `draws` tells whether to draw these, see
    `backbone_chart`.
    """
    job, total, config = view.waiting, view.config.training.epochs, view.config
    is_backbone = job is not None and job.key == backbone_key(config)
    if job is None or (job.active and not is_backbone):
        st.info("The first figures of this setting are being measured.")
        return None
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        (st.error if job.state is JobState.FAILED else st.warning)(status_text(job, total))
        st.markdown("Try again, or go on with other settings: everything above still works.")
        if st.button("Try again"):
            if is_backbone:
                studio.backbones.retry(config, owner_id())
            studio.jobs.forget(job.key)
            st.rerun()
        return None
    if is_backbone:
        st.info(
            "The backbone is being trained: the all-to-all model that every index with this encoder, interaction, T and seed starts from. "
            "It is trained once; other M, K and P reuse it. " + status_text(job, total) + (seconds_left(job, total) or estimate)
        )
        if owner_id() not in job.owners:
            st.markdown("You cancelled it. It goes on because another visitor wants it.")
            if st.button("Join it again"):
                studio.backbones.retry(config, owner_id())
                st.rerun()
        elif (studio.scope or job.key != backbone_key(studio.config)) and st.button("Cancel training"):
            studio.backbones.cancel(config, owner_id())
            st.rerun()
        if draws:
            backbone_chart(epochs_of(job))
        return epochs_of(job)
    return None


def seconds_left(job: JobSnapshot, total: int) -> str:
    """The most time a training of at most `total` epochs may still take, in words, at the pace so far; empty before its first epoch."""
    epochs = epochs_of(job)
    if job.state is not JobState.RUNNING or not epochs or epochs[-1].epoch < 1:
        return ""
    left = job.seconds / epochs[-1].epoch * (total - epochs[-1].epoch)
    return f" At this pace at most {left:.0f} s are left; it ends earlier if nothing gets better."


def backbone_chart(records: Sequence[EpochRecord]) -> None:
    """The epochs of a backbone's training."""
    title = "Training the backbone"
    alt = f"{title}: epoch {records[-1].epoch}, validation recall {records[-1].recall:.3f}" if records else f"{title}: no epoch yet"
    live_chart(training_curve_figure, training_curve_data(title, records, None), "chart-training", alt)
