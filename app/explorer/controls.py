"""Buttons of the Index Explorer: undo, redo, pin, and searches of all settings."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.explorer.search import ask
from app.measured.setting_grids import GRID
from app.session.configuration import Configuration
from app.session.run_history import RunHistory
from app.session.settings import BUDGET
from app.session.widgets import go_to, pin, widget

_HISTORY = "run_history"


def run_history(scope: str = "") -> RunHistory:
    """The history of this session on one data set, named by `Studio.scope`."""
    key = f"{_HISTORY}{scope}"
    if key not in st.session_state:
        st.session_state[key] = RunHistory()
    return st.session_state[key]


def controls(history: RunHistory, chosen: Configuration, pinned: Configuration | None) -> None:
    """One row of buttons."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Undo",
            on_click=_show,
            args=(history.undo,),
            disabled=not history.can_undo(),
            shortcut="Ctrl+Z",
            help="The setting before the last change",
        )
        st.button(
            "Redo",
            on_click=_show,
            args=(history.redo,),
            disabled=not history.can_redo(),
            shortcut="Ctrl+Shift+Z",
            help="The change just undone, again",
        )
        if pinned is None:
            help_text = "Hold everything that follows against this run: differences beside the figures, grey lines in the charts"
            st.button("Pin this run", on_click=pin, args=(chosen,), shortcut="P", help=help_text)
        else:
            st.button("Unpin", on_click=pin, args=(None,), shortcut="P", help=f"Pinned: {pinned.label}, {pinned.keep} % kept")
        st.space("stretch")
        _searches(chosen)


def _searches(chosen: Configuration) -> None:
    st.button(
        "Smallest within 1 % of the best",
        on_click=ask,
        args=(None, chosen),
        help=f"Searches {GRID.n_settings} settings of M, K and P at every eighth threshold, and opens the smallest index whose recall is "
        "at least 99 % of the best one's.",
    )
    # Together, also where the row breaks.
    with st.container(horizontal=True, vertical_alignment="center", gap="small", width="content"):
        budget = widget(BUDGET, collapsed=True)
        st.button(
            "Best under the budget" if budget is None else f"Best under {budget:g} MB",
            on_click=ask,
            args=(budget, chosen),
            disabled=budget is None,
            help=f"Searches {GRID.n_settings} settings of M, K and P at every eighth threshold, and opens the one of best recall among "
            "indexes of at most so many megabytes.",
        )


def _show(step: Callable[[], Configuration | None]) -> None:
    chosen = step()
    if chosen is not None:
        go_to(chosen)
