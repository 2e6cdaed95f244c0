"""The result of an experiment: its control, the run, where the figures come from, and what they say."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.data_table import data_table
from app.components.live_chart import charts_of
from app.components.provenance import data_line, kind_badge
from app.jobs.job import JobSnapshot, JobState, epochs_of, status_text
from app.lessons.bench import LessonProgress
from app.lessons.chosen import set_control
from app.lessons.lesson import Lesson
from app.lessons.results import LessonResult, LessonResults, lesson_key
from app.lessons.shown import charts, table
from app.session.report import FiguresOf, figures_are_of
from app.session.visitor import owner_id, want_in_tab
from app.studio import Studio
from sparcode.runs.machine import BUSY_LOAD

RUN: Final = "Run it here"
AGAIN: Final = "Run it again"
HOLDS: Final = "HOLDS HERE"
FAILS: Final = "DOES NOT HOLD HERE"
# Work of others per core from which on times are marked.


def result_stage(lesson: Lesson, value: str, studio: Studio, results: LessonResults) -> None:
    """Control, run, charts and table of a lesson at a value of its control."""
    result = results.of(lesson, value)
    _control(lesson, value)
    with st.container():
        _work(lesson, value, result, studio, results)
    if result is None:
        return
    said = f"{lesson.control.label}: {lesson.control.options[value]}"
    figures_are_of(FiguresOf(f"Lesson {lesson.number}", studio, studio.config, said, result.recording))
    with charts_of(f"{lesson.number} {value} {result.measured_at}"):
        charts(lesson, result.rows, lesson.read(result.rows)[0].headline)
    with st.expander("All figures", on_change="rerun", key=f"lesson-figures-{lesson.number}") as folded:
        if folded.open:
            rows, key = table(lesson, result.rows), f"lesson-{lesson.number}"
            data_table(rows, "All figures of this lesson", key, plain=True, hide_index=True, border="horizontal")
    _origin(result, studio)


def explanation(lesson: Lesson, guess: str | float, result: LessonResult) -> None:
    """Whether the prediction held, and every claim beside its figures."""
    held, said = lesson.prediction.judged(guess, result.rows)
    (st.success if held else st.warning)(said)
    for reading in lesson.read(result.rows):
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.badge(HOLDS if reading.holds else FAILS, color="green" if reading.holds else "orange")
                st.markdown(f"**Claim.** {reading.claim}")
            st.markdown(f"{reading.headline} {reading.text}")


def _control(lesson: Lesson, value: str) -> None:
    key = f"lesson-control-{lesson.number}-{value}"

    def changed() -> None:
        set_control(lesson, st.session_state.get(key) or value)

    st.segmented_control(
        lesson.control.label,
        list(lesson.control.options),
        default=value,
        format_func=lesson.control.options.__getitem__,
        key=key,
        on_change=changed,
        required=True,
        help=lesson.control.help,
    )


def _work(lesson: Lesson, value: str, result: LessonResult | None, studio: Studio, results: LessonResults) -> None:
    """What is under way, or the button that starts it."""
    job = studio.jobs.get(lesson_key(lesson, value))
    if job is not None and job.active:
        _under_way(job, studio)
        return
    if job is not None and job.state is JobState.FAILED:
        st.error(status_text(job))
    elif job is not None and job.state is JobState.CANCELLED:
        st.info(f"{status_text(job)} Nothing of it is kept.")
    here = result is not None and result.recording is None
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(AGAIN if here else RUN, type="secondary" if result else "primary", key="lesson-run"):
            want_in_tab(lesson_key(lesson, value), studio)
            results.start(lesson, value, studio, owner_id())
            st.rerun()
        if result is None:
            return
        if result.recording is None:
            st.badge("MEASURED HERE", color="green")
        else:
            kind_badge("recorded", result.recording)
        seconds = f"{result.processor_seconds:.0f} s" if result.processor_seconds >= 1 else "less than a second"
        st.caption(f"It took {seconds} of one core, in the background, and can be cancelled.")


def _under_way(job: JobSnapshot, studio: Studio) -> None:
    steps = [record.step for record in job.records if isinstance(record, LessonProgress)]
    epochs = epochs_of(job)
    text = status_text(job)
    if job.state is JobState.RUNNING and steps:
        # The last record tells whether epochs belong to the last step.
        epoch = f", epoch {epochs[-1].epoch}" if epochs and job.records[-1] is epochs[-1] else ""
        text = f"{steps[-1]}{epoch} ({job.seconds:.0f} s)"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{text} ...")
        if owner_id() not in job.owners:
            st.caption("Another visitor wants it, who alone can cancel it.")
        elif st.button("Cancel", key="lesson-cancel"):
            studio.jobs.cancel(job.key, owner_id())
            st.rerun()


def _origin(result: LessonResult, studio: Studio) -> None:
    """Recorded or measured here; machine, seed, day and what else ran."""
    where = f"Measured on this machine: {result.machine}" if result.recording is None else f"Recorded {result.recording.words}"
    busy = (
        f" Beside other work (load {result.load:.1f} per core): neither times nor their ratios are exact."
        if result.load > BUSY_LOAD
        else ""
    )
    st.caption(
        f"{where}, seed {result.seed}, in {result.seconds:.0f} s ({result.processor_seconds:.1f} s of processor time).{busy} "
        f"{data_line(studio)}."
    )
