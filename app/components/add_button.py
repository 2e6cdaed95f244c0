"""The button below a chart or a row of figures that adds it to the visitor's report, with room for a note on what was just added; for the
components that draw these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from app.components.bundle import style
from app.session.report import FiguresOf, MakeEntry, add_to_report, keep_note

# Beside the button, where nothing else is: nothing moves, nothing is covered.
NOTE: Final = """
<form class="sparcode-note" hidden>
  <label><span>Added. Note:</span><input type="text" placeholder="optional" autocomplete="off"></label>
  <button type="button" aria-label="Close without a note">×</button>
</form>
"""
HTML: Final = f'<div class="sparcode-adds"><button type="button" class="sparcode-add" hidden>Add to report</button>{NOTE}</div>'
STYLE: Final = style(__file__)


def adding(make: MakeEntry, figures: FiguresOf | None, key: str) -> dict[str, Callable[[], None]]:
    """The callbacks of a component with the button, for its mount; its data needs `app.session.report.note_for` as "note"."""
    return {"on_add_change": lambda: add_to_report(make, figures, key), "on_note_change": lambda: keep_note(told(key, "note"))}


def told(key: str, name: str) -> Any:
    """What the component of this key told its callback last under this name."""
    return getattr(st.session_state.get(key), name, None)
