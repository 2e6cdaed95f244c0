"""The exports of a report: made by a job at a click, one at a time in the process, and not kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

import streamlit as st

from app.jobs.job import JobHandle, JobState
from app.jobs.manager import JobManager
from app.report.archive import archive
from app.report.html_file import html_file
from app.report.slides import slides
from app.report.store import Report
from app.session import loaders
from app.session.visitor import owner_id
from app.studio import EXPORTS

# A report that others export at the same time is waited for.
PATIENCE_SECONDS: Final = 120.0


class _Format(NamedTuple):
    label: str
    file: str
    mime: str
    make: Callable[[Report], bytes]
    help: str
    needs_pictures: bool


_FORMATS: Final = (
    _Format(
        "HTML",
        "sparcode-report.html",
        "text/html",
        html_file,
        "One file that opens without a network: the charts stay interactive, with tables, notes, settings, seed, machine and date",
        False,
    ),
    _Format(
        "Slides (.pptx)",
        "sparcode-report.pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        slides,
        "One entry a slide, its title on top; data, settings, seed, machine and date in the notes",
        True,
    ),
    _Format(
        "Tables and pictures (.zip)",
        "sparcode-report.zip",
        "application/zip",
        archive,
        "A CSV for each entry, the charts as PNG and SVG, and the settings with the command that trains them again",
        True,
    ),
)


def export_buttons(report: Report, has_pictures: bool) -> None:
    """A button for each format; those that hold pictures wait for them."""
    jobs, owner = loaders.opened().first.jobs, owner_id()
    for one in _FORMATS:
        waits = one.needs_pictures and not has_pictures
        # Made outside the page's script, of the report as the page shows it.
        st.download_button(
            one.label,
            _maker(one, report, jobs, owner),
            one.file,
            one.mime,
            key=f"report-export-{one.file}",
            on_click="ignore",
            help="The pictures are being drawn" if waits else one.help,
            disabled=waits,
        )


def _maker(one: _Format, report: Report, jobs: JobManager, owner: str) -> Callable[[], bytes]:
    return lambda: exported(one.label, one.make, report, jobs, owner)


def exported(label: str, make: Callable[[Report], bytes], report: Report, jobs: JobManager, owner: str) -> bytes:
    """A file made by a job; waits for it.

    RuntimeError with the reason if it could not be made.
    """
    key = f"{EXPORTS}/{secrets.token_hex(8)}"

    def work(handle: JobHandle) -> bytes:
        handle.check()
        return make(report)

    jobs.submit(key, f"export of a report as {label}", work, owner, EXPORTS)
    ended = jobs.wait(key, lambda job: False, PATIENCE_SECONDS)
    if ended is not None and ended.active:
        jobs.cancel(key, owner)
    # The file goes to the browser and is not kept here.
    jobs.forget(key)
    if ended is None or ended.state is not JobState.DONE:
        raise RuntimeError((ended.error if ended is not None else "") or "the file was not made in time; try again")
    return ended.result
