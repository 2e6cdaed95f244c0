"""The visitor's report: what is in it, its exports, and every entry with its picture, title and note."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from app.components.figure_tiles import tile_cards
from app.report.entry import LONGEST_NOTE, LONGEST_TITLE, Chart, Entry, Table
from app.report.html_file import cell_text
from app.report.store import ALL_BYTES, MOST_ENTRIES, REPORT_BYTES, TITLE
from app.report.words import contents_line, origin_line
from app.report_page.exports import export_buttons
from app.report_page.pictures import missing_pictures, picture_drawer
from app.session.report import forget_added, own_report, reports
from app.session.visitor import owner_id

# Rows of a table that the page shows; the exports have all.
SHOWN_ROWS: Final = 200
_ERROR: Final = "report_error"
_EMPTY: Final = """
#### The report is empty. Add the charts, figures and tables that you want to show or take home

1. Open any page, such as the **Index Explorer**.
2. Below a chart, a row of figures or a table, press **Add to report**.
3. Come back here: give each a note and its place, then take all of it home as one HTML file, as slides or as tables and pictures.
"""
_KEPT: Final = (
    f"The report is this browser's alone: up to {MOST_ENTRIES} entries and {REPORT_BYTES // 2**20} MB, in the studio's memory until it is "
    f"restarted, or until all visitors' reports have more than {ALL_BYTES // 2**20} MB. Export what you want to keep."
)


def report_page() -> None:
    """The whole page."""
    # Notes are written here.
    forget_added()
    report = own_report()
    if error := st.session_state.pop(_ERROR, ""):
        st.error(error)
    if not report.entries:
        st.markdown(_EMPTY)
        st.caption(_KEPT)
        return
    missing = missing_pictures(report)
    st.markdown(f"#### {contents_line(report.entries)}, ready to take home")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Title of the report",
            "" if report.title == TITLE else report.title,
            max_chars=LONGEST_TITLE,
            placeholder=TITLE,
            key="report-title",
            on_change=_rename,
            width=420,
        )
        export_buttons(report, not missing)
    picture_drawer(missing)
    for place, entry in enumerate(report.entries):
        _entry(entry, place, len(report.entries))
    with st.popover("Empty the report"):
        st.markdown(f"Drops all {len(report.entries)} entries with their notes.")
        st.button("Drop everything", on_click=lambda: reports().clear(owner_id()))
    st.caption(_KEPT)


def shown_rows(table: Table) -> pd.DataFrame:
    """The first rows of a table as people read them; names of columns may repeat."""
    names = [name if table.columns.index(name) == at else f"{name} ({at + 1})" for at, name in enumerate(table.columns)]
    return pd.DataFrame([[cell_text(cell) for cell in row] for row in table.rows[:SHOWN_ROWS]], columns=names)


def _entry(entry: Entry, place: int, n_entries: int) -> None:
    with st.container(border=True, key=f"report-entry-{entry.number}"):
        shown, words = st.columns((3, 2), gap="medium")
        with shown:
            _content(entry)
        with words:
            key = f"{entry.number}-{entry.title}"
            st.text_input(
                f"Title of entry {place + 1}",
                entry.title,
                max_chars=LONGEST_TITLE,
                key=f"report-title-{key}",
                on_change=_write,
                args=(entry, key),
            )
            st.text_area(
                f"Note of entry {place + 1}",
                entry.note,
                max_chars=LONGEST_NOTE,
                height=90,
                key=f"report-note-{key}",
                placeholder="What to say about it; it goes into the slides' notes and every export",
                on_change=_write,
                args=(entry, key),
            )
            with st.container(horizontal=True):
                _button("Up", "↑ Up", entry, place == 0, lambda: reports().move(owner_id(), entry.number, -1))
                _button("Down", "↓ Down", entry, place == n_entries - 1, lambda: reports().move(owner_id(), entry.number, 1))
                _button("Drop", "Drop", entry, False, lambda: reports().drop(owner_id(), entry.number))
            st.caption(f"{entry.kind.capitalize()}. {origin_line(entry)}".replace("$", "\\$"))


def _content(entry: Entry) -> None:
    content = entry.content
    if isinstance(content, Chart):
        if entry.picture:
            st.image(entry.picture, width="stretch", alt=f"Chart: {entry.title}")
        else:
            st.skeleton(height=200)
    elif isinstance(content, Table):
        st.dataframe(shown_rows(content), hide_index=True, alt=f"Table: {entry.title}")
        if len(content.rows) > SHOWN_ROWS:
            st.caption(f"{SHOWN_ROWS} of {len(content.rows):,} rows; exports have all.")
    else:
        tile_cards(content, f"report-tiles-{entry.number}")


def _button(name: str, label: str, entry: Entry, disabled: bool, act: object) -> None:
    st.button(label, key=f"report-{name}-{entry.number}", disabled=disabled, on_click=act, help=f"{name}: {entry.title}")


def _rename() -> None:
    reports().rename(owner_id(), st.session_state.get("report-title") or "")


def _write(entry: Entry, key: str) -> None:
    title, note = (st.session_state.get(f"report-{part}-{key}", known) for part, known in (("title", entry.title), ("note", entry.note)))
    try:
        reports().write(owner_id(), entry.number, title or "", note or "")
    except ValueError as error:
        st.session_state[_ERROR] = f"Not written: {error}"
