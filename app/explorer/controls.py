"""Buttons of the Index Explorer: undo, redo, pin, and thresholds found automatically."""

from __future__ import annotations

import streamlit as st

from app.measured.measured_index import MeasuredIndex
from app.session.configuration import Configuration
from app.session.run_history import RunHistory
from app.session.settings import BUDGET, KEPT
from app.session.widgets import go_to, pin, set_threshold, widget

NEAR_BEST = 0.99
_HISTORY = "run_history"


def run_history() -> RunHistory:
    """The history of this session."""
    if _HISTORY not in st.session_state:
        st.session_state[_HISTORY] = RunHistory()
    return st.session_state[_HISTORY]


def controls(chosen: Configuration, pinned: Configuration | None, measured: MeasuredIndex | None) -> None:
    """One row of buttons; `measured` is None before the first figures."""
    history = run_history()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button("Undo", on_click=_undo, disabled=not history.can_undo(), shortcut="Ctrl+Z", help="The setting before the last change")
        st.button("Redo", on_click=_redo, disabled=not history.can_redo(), shortcut="Ctrl+Shift+Z", help="The change just undone, again")
        if pinned is None:
            help_text = "Hold everything that follows against this run: differences beside the figures, grey lines in the charts"
            st.button("Pin this run", on_click=pin, args=(chosen,), shortcut="P", help=help_text)
        else:
            st.button("Unpin", on_click=pin, args=(None,), shortcut="P", help=f"Pinned: {pinned.label}, {pinned.keep} % kept")
        st.space("stretch")
        _jumps(measured)


def _jumps(measured: MeasuredIndex | None) -> None:
    ready = measured is not None and measured.finished
    near = measured.curve.smallest_within(NEAR_BEST) if ready else None
    wait = "" if ready else " Ready once every threshold is measured."
    st.button(
        "Smallest index within 1 % of the best recall",
        on_click=set_threshold,
        args=(KEPT.options[near] if near is not None else "",),
        disabled=near is None,
        help="Moves the threshold to the smallest index whose recall is at least 99 % of the best one measured." + wait,
    )
    budget = widget(BUDGET, collapsed=True)
    best = measured.curve.best_under(1e6 * budget) if ready and budget is not None else None
    label = "Best under the budget" if budget is None else f"Best under {budget:g} MB"
    if ready and budget is not None and best is None:
        label = f"Nothing under {budget:g} MB"
        wait = f" No threshold fits: the smallest index takes {measured.curve.size_bytes.min() / 1e6:.3g} MB."
    st.button(
        label,
        on_click=set_threshold,
        args=(KEPT.options[best] if best is not None else "",),
        disabled=best is None,
        help="Moves the threshold to the best recall among indexes of at most so many megabytes." + wait,
    )


def _undo() -> None:
    _show(run_history().undo())


def _redo() -> None:
    _show(run_history().redo())


def _show(chosen: Configuration | None) -> None:
    if chosen is not None:
        go_to(chosen)
