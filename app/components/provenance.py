"""The provenance of figures in words: kind, data, seed, machine."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.measured.measured_index import Kind, MeasuredIndex
from app.models.trained import Recording
from app.session.address import plain_text
from app.studio import Studio
from sparcode.glossary import about

_COLOURS: Final = {"preview": "orange", "fine-tuned": "green", "trained from scratch": "blue", "recorded": "violet"}


def recorded_notes(studio: Studio) -> None:
    """Say why recorded runs are not used."""
    for note in studio.recorded.notes:
        st.info(note)


def kind_badge(kind: Kind, recording: Recording | None = None) -> None:
    """The kind of the figures below as a coloured word; its help gives day and machine of a recording."""
    meaning = about(kind) if recording is None else f"trained {recording.words}, and {_where(recording)}"
    st.badge(kind.upper(), color=_COLOURS[kind], help=meaning)


def _where(recording: Recording) -> str:
    return f"kept as {recording.run}" if recording.run else "stored with the studio"


def data_name(studio: Studio) -> str:
    """The data's name for a page; that of an uploaded file is untrusted text."""
    return plain_text(studio.interactions.name) if studio.scope else studio.interactions.name


def data_line(studio: Studio) -> str:
    """The data's name and size, whether it is synthetic, and the kept run it belongs to."""
    data = studio.interactions
    run = f"Run: **{studio.run_name}**. " if studio.run_name else ""
    made_up = ", made up by this project" if data.synthetic else ""
    sizes = f"{data.n_users:,} users, {data.n_items:,} items, {data.n_interactions:,} interactions"
    return f"{run}Data: **{data_name(studio)}**{made_up}: {sizes}"


def provenance(measured: MeasuredIndex, studio: Studio) -> None:
    """One line under the figures of a measured index."""
    seconds = f"first figures after {measured.seconds:.1f} s" if measured.is_preview else f"trained in {measured.seconds:.0f} s"
    # Within a sentence.
    meaning = about(measured.kind).rstrip(".")
    meaning, computed = meaning[0].lower() + meaning[1:], ""
    if measured.is_barely_tuned:
        meaning = f"fine-tuned for {measured.n_epochs} epochs only; from {measured.least_epochs} on it is called fine-tuned"
    if measured.recording is not None:
        trained = "trained from scratch" if measured.recording.run else "fine-tuned"
        meaning = f"the model was {trained} {measured.recording.words} and is {_where(measured.recording)}"
        computed = "Its index is built and measured on this machine. "
    st.caption(
        f"All figures above: **{measured.called}** ({meaning}; {seconds}). {computed}{data_line(studio)}; figures are means over "
        f"{len(studio.split.test.queries):,} test users the models never trained on. Seed {measured.config.training.seed}. "
        f"Measured on this machine: {studio.machine}."
    )
