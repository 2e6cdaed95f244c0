"""A button of Streamlit's own that adds something to the visitor's report, with room for a note beside it."""

from __future__ import annotations

import streamlit as st

from app.components import add_button
from app.components.bundle import script
from app.session.report import MakeEntry, add_to_report, keep_note, note_for, shown_figures

_mount = st.components.v2.component(
    "sparcode_report_note",
    html=add_button.NOTE,
    css=add_button.STYLE,
    js=script(__file__),
    isolate_styles=False,
)


def report_button(make: MakeEntry, what: str, key: str, disabled: bool = False) -> None:
    """Draw it; `make` makes the entry, `what` is what the button's help and the note's name say; `key` is unique on the page."""
    figures, note_key = shown_figures(), f"note-{key}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"adds-{key}"):
        st.button(
            "Add to report",
            key=f"add-{key}",
            type="tertiary",
            help=what,
            on_click=lambda: add_to_report(make, figures, note_key),
            disabled=disabled,
        )
        if note := note_for(note_key):
            data = {"name": what, "note": note}
            _mount(
                key=note_key,
                data=data,
                width="stretch",
                height="content",
                on_note_change=lambda: keep_note(add_button.told(note_key, "note")),
            )
