"""Panels that run again by themselves while work is under way, without the rest of their page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from app.jobs.turns import page_turns
from app.session.visitor import Shown, poll_seconds, show_in_tab
from app.studio import Studio
from sparcode.config import RunConfig


def live_panel(panel: Callable[..., None], live: str, least_seconds: float, studio: Studio, *args: Any) -> None:
    """Draw `panel(studio, *args)` as a fragment, again every so often where `keep_live` said so under the session's key `live`."""
    poll = poll_seconds(least_seconds, studio) if st.session_state.get(live) else None
    st.fragment(page_turns.in_turn(panel), run_every=poll)(studio, *args)


def keep_live(live: str, active: bool) -> None:
    """Say, at the end of a panel, whether work is under way. The fragment's call sets the timer, so a change reruns the whole page."""
    if active != st.session_state.get(live, False):
        st.session_state[live] = active
        st.rerun()


def show_setting(key: str, studio: Studio, config: RunConfig, pinned: RunConfig | None = None) -> None:
    """Note what this tab shows, in the session under `key`; see `app.session.visitor.show_in_tab`."""
    shown = Shown(studio, config)
    show_in_tab(shown, st.session_state.get(key), pinned)
    st.session_state[key] = shown
