"""Data that is not at hand: published sets are fetched at a click, files are uploaded; the page waits for either."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import streamlit as st

from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.session.address import plain_text
from app.session.error_words import error_words
from app.session.visitor import connection, owner_id, want_in_tab
from app.studio import FETCHING, Studio
from app.training.data import MAX_UPLOAD_MB, UPLOAD_EXTENSIONS, TrainingData
from app.training.data_folder import FOLDER_VARIABLE, data_folder, named_file
from app.training.reader import TableLook
from sparcode.data.fetching import cache_folder, cached_archive, download
from sparcode.data.limits import FOLDER_FILES
from sparcode.data.published import Published, published

POLL_SECONDS: Final = 0.5
# Session state: file and columns that cannot be used -> why, and what is in the file; id of a file -> columns chosen for it.
_COLUMNS: Final = "upload_columns"
_FIELDS: Final = {"user": "Users", "item": "Items", "timestamp": "Times", "title": "Titles of items"}
_NEEDED: Final = ("user", "item")
_REFUSED: Final = "upload_refused"
_UPLOAD_HELP: Final = (
    "A MovieLens archive as published (.zip), or a table (.csv, .tsv, .parquet) with one row per interaction: columns such as user_id, "
    f"item_id and, if there are times, timestamp. Up to {MAX_UPLOAD_MB} MB. It stays in this server's memory, for this browser only, "
    "unless you keep a run that was trained on it: the run has its histories and item titles, for everybody who uses this studio."
)


class Fetched(NamedTuple):
    """Bytes fetched so far and in total, 0 where that is not known."""

    done: int
    total: int


def archive_of(name: str, studio: Studio) -> Path:
    """The archive of a published data set; ends the page with its terms, or the progress of its download, where it is not here yet."""
    if (path := cached_archive(name)) is not None:
        return path
    job = studio.jobs.get(_key(name))
    if job is not None and job.active:
        st.fragment(_progress, run_every=POLL_SECONDS)(name, studio)
    else:
        _offer(published(name), name, job, studio)
    st.stop()


def uploaded_file(studio: Studio, place: str = "page") -> TrainingData | None:
    """The file of this browser, with the fields to choose another one; None, and a word on it, where there is none or it cannot be used.

    `place` tells the fields, and their file, from others of the same browser.
    """
    shelf = studio.from_scratch.shelf
    help_text, key = _UPLOAD_HELP, f"upload/{place}"
    file = st.file_uploader("Your file", type=list(UPLOAD_EXTENSIONS), max_upload_size=MAX_UPLOAD_MB, help=help_text, key=key)
    folder = data_folder()
    path = "" if folder is None else _path_field(folder, place, disabled=file is not None)
    if file is not None:
        return _read(file.file_id, lambda waits, columns: shelf.upload(owner_id(), file.name, file.getvalue(), waits, columns, place))
    if path.strip():
        try:
            named = named_file(folder, path)
        except ValueError as error:
            _refusal(str(error))
            return None
        return _read(named.stamp, lambda waits, columns: shelf.from_folder(owner_id(), named, waits, columns, place))
    data = shelf.uploaded(owner_id(), place)
    if data is None:
        st.info("Choose a file to go on with.")
    return data


def _path_field(folder: Path, place: str, disabled: bool) -> str:
    """The field for a file on this machine, whose folder the studio was started with."""
    return st.text_input(
        f"or a file on this machine, in {plain_text(folder.name)}/",
        placeholder="ratings.csv",
        key=f"path/{place}",
        disabled=disabled,
        help=f"A path from that folder on, which the studio was started with ({FOLDER_VARIABLE}): nothing is sent, so the file may be "
        f"larger, up to {FOLDER_FILES.file_bytes // 2**20} MB. The same kinds as for an upload.",
    )


def _read(file_id: str, read: Callable[[Callable[[], bool], dict[str, str | None]], TrainingData]) -> TrainingData | None:
    """What is in a file, with its columns to choose; None, and the reason, where it cannot be used so."""
    # What was chosen for this file, and the reason why it was refused so.
    columns = st.session_state.get(_COLUMNS, {}).get(file_id, {})
    attempt = (file_id, tuple(sorted(columns.items())))
    refused, waits = st.session_state.get(_REFUSED, {}).get(attempt), _waits()
    try:
        # Not read again with every change of a setting.
        if refused is None:
            with st.spinner("Reading the file ..."):
                data = read(waits, columns)
            if data.table is not None:
                choose_columns(data.table, file_id)
            return data
    except (ValueError, OSError) as error:
        refused = (error_words(error), getattr(error, "table", None))
        # A tab that is connected again reads anew.
        if waits():
            st.session_state[_REFUSED] = {attempt: refused}
    _refusal(refused[0])
    if refused[1] is not None:
        choose_columns(refused[1], file_id, is_open=True)
    st.caption("A table needs a header line that tells users from items, with names such as user_id, item_id and timestamp.")
    return None


def _refusal(reason: str) -> None:
    st.error("This file cannot be used.")
    # File and column names are untrusted text.
    st.text(reason)


def choose_columns(table: TableLook, file_id: str, is_open: bool = False) -> None:
    """The first rows of a table, and which of its columns hold what; another choice has the file read again."""
    with st.expander("Columns and first rows", expanded=is_open):
        names = list(table.columns)
        rows = pd.DataFrame([row for row in table.rows if len(row) == min(len(names), len(table.rows[0]))])
        if len(rows):
            st.dataframe(rows.set_axis(names[: rows.shape[1]], axis=1), hide_index=True, alt="First rows of your file")
        with st.grid(4, min_column_width=150):
            _column_pickers(table, file_id)


def _column_pickers(table: TableLook, file_id: str) -> None:
    names = list(table.columns)
    for field, label in _FIELDS.items():
        taken, offered = table.taken.get(field), names if field in _NEEDED else ["", *names]
        key = f"column/{file_id}/{field}"
        st.selectbox(
            label,
            offered,
            offered.index(taken) if taken in offered else None if field in _NEEDED else 0,
            format_func=lambda name: name or "none",
            placeholder="choose a column",
            key=key,
            on_change=_choose_column,
            args=(file_id, field, key),
        )


def _choose_column(file_id: str, field: str, key: str) -> None:
    chosen = st.session_state.setdefault(_COLUMNS, {}).setdefault(file_id, {})
    chosen[field] = st.session_state[key] or None


def fetch(name: str, handle: JobHandle) -> None:
    """Download a published data set whose terms were accepted: the work of a job. JobCancelled if it is asked to stop."""
    told = Fetched(0, 0)

    def on_progress(done: int, total: int) -> None:
        nonlocal told
        handle.check()
        # A hundred steps are enough to see it go on.
        if done - told.done >= max(total, 10_000_000) / 100 or done == total:
            told = Fetched(done, total)
            handle.publish(told)

    download(name, accept_terms=True, on_progress=on_progress)


def progress_text(wanted: Published, job: JobSnapshot) -> tuple[float, str]:
    """Share and words of a download under way."""
    told = next((record for record in reversed(job.records) if isinstance(record, Fetched)), Fetched(0, 0))
    if job.state is JobState.QUEUED:
        return 0.0, f"Fetching {wanted.title} waits for another download."
    of_total = f" of {told.total / 1e6:.1f}" if told.total else ""
    return (
        told.done / told.total if told.total else 0.0,
        f"Fetching {wanted.title}: {told.done / 1e6:.1f}{of_total} MB, {job.seconds:.0f} s.",
    )


def _progress(name: str, studio: Studio) -> None:
    job = studio.jobs.get(_key(name))
    if job is None or not job.active:
        st.rerun()
    share, text = progress_text(published(name), job)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(share, text=text)
        if owner_id() in job.owners:
            st.button("Cancel", on_click=studio.jobs.cancel, args=(job.key, owner_id()))


def _offer(wanted: Published, name: str, job: JobSnapshot | None, studio: Studio) -> None:
    if job is not None and job.state is JobState.FAILED:
        st.error(f"{wanted.title} could not be fetched. Nothing of it was kept.")
        st.text(f"{job.error:.1000}")
    st.markdown(f"**{wanted.title}** is not on this computer yet. These are its terms:")
    st.text(wanted.terms)
    label = "I accept the terms: fetch it"
    st.button(label, type="primary", on_click=_start, args=(name, studio), help=f"{wanted.address}; checked by its published checksum.")
    st.caption(f"It is fetched once from {wanted.url} into {_place()}. A copy that you have can be put there as `{name}.zip`.")


def _place() -> str:
    """The cache folder without what tells who runs the studio."""
    folder = cache_folder()
    return f"`{Path('~') / folder.relative_to(Path.home()) if folder.is_relative_to(Path.home()) else folder.name}`"


def _start(name: str, studio: Studio) -> None:
    want_in_tab(_key(name), studio)
    studio.jobs.submit(_key(name), f"fetching {published(name).title}", partial(fetch, name), owner_id(), FETCHING)


def _key(name: str) -> str:
    return f"{FETCHING}/{name}"


def _waits() -> Callable[[], bool]:
    """A function that tells whether the page waits for its file; it ends the script if the visitor chose something else meanwhile."""
    is_open = connection()

    def waits() -> bool:
        # Streamlit ends or repeats a script where it reads the session.
        st.session_state.get(_REFUSED)
        return is_open()

    return waits
