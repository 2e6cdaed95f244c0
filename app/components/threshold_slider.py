"""The threshold's slider: figures and charts follow it in the browser while it is dragged; the server answers on release."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.bundle import script, style
from app.session.settings import KEPT
from app.session.widgets import set_threshold

_KEY: Final = "threshold-slider"

_HTML: Final = """
<div class="sparcode-threshold">
  <div class="head"><label></label><output></output></div>
  <input type="range" min="0" step="1">
  <div class="ends"><span></span><span class="note" role="status"></span><span></span></div>
</div>
"""

_mount = st.components.v2.component("sparcode_threshold_slider", html=_HTML, css=style(__file__), js=script(__file__), isolate_styles=False)


def threshold_slider(kept: str, curve: str, note: str) -> None:
    """The slider at `kept`, one of `KEPT.options`; `note` says how much of the curve is measured.

    `curve` comes from `app.charts.threshold_columns.threshold_columns`, and is empty before anything is measured.
    """
    answer = _mount(
        key=_KEY,
        data={
            "percents": list(KEPT.options),
            "kept": kept,
            "curve": curve,
            "label": KEPT.label,
            "help": KEPT.help,
            "note": note,
        },
        width="stretch",
        height="content",
        on_release_change=_released,
    )
    if answer.release not in (None, kept):
        # The callback had no value, because a run was cut short before it came to the slider.
        set_threshold(str(answer.release))
        st.rerun()


def _released() -> None:
    # A trigger, not a state: after an undo, releasing the same stop again must count as a change.
    if (state := st.session_state.get(_KEY)) is not None:
        set_threshold(str(state.release))
