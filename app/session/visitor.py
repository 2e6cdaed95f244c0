"""Identifies the browser by its cookie, and notes what its tab shows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.measured.setting_jobs import keys_of
from app.server.middleware import OWNER_COOKIE, is_owner
from app.studio import Studio
from sparcode.config import RunConfig

# Of all tabs together.
POLLS_A_SECOND: Final = 3
_OWNER: Final = "owner"
_TAB: Final = "tab"


def owner_id() -> str:
    """The owner of this session's jobs: the browser's cookie, so that a refresh or a second tab finds its jobs again.

    Without a cookie (the page was not served by the launcher, or in a test) it is random for the session.
    """
    if _OWNER not in st.session_state:
        cookie = st.context.cookies.get(OWNER_COOKIE)
        st.session_state[_OWNER] = cookie if isinstance(cookie, str) and is_owner(cookie) else secrets.token_urlsafe(24)
    return st.session_state[_OWNER]


def enter_in_tab(studio: Studio) -> None:
    """Tell the studio that this tab is open, so that the jobs of its browser go on."""
    studio.viewers.enter(_tab(), owner_id(), connection())


def poll_seconds(least: float, studio: Studio) -> float:
    """Seconds between two runs of a page that follows work under way: `least`, or more where many tabs are open.

    A run takes about 50 ms of the one core that Python uses, and a visitor's own changes go first.
    """
    return max(least, studio.viewers.n_open() / POLLS_A_SECOND)


def connection() -> Callable[[], bool]:
    """A function that tells whether this tab is still connected."""
    context = get_script_run_ctx()
    session = "" if context is None else context.session_id

    def is_open() -> bool:
        # Without a server (in tests) there is no connection to lose.
        return not runtime.exists() or runtime.get_instance().is_active_session(session)

    return is_open


def show_in_tab(config: RunConfig, left: RunConfig, studio: Studio, pinned: RunConfig | None = None) -> None:
    """Note the setting this tab shows now, and the pinned one.

    If it `left` another setting, the jobs of that one end, those of the pinned one too (the shown setting goes first), unless another tab
    shows it.
    """
    others = [] if pinned is None else [pinned]
    studio.viewers.show(_tab(), config.content_hash(), keys_of(config).union(*map(keys_of, others)))
    for other in (left, *others):
        if config not in (left, other) and not studio.viewers.elsewhere(_tab(), owner_id(), other.content_hash()):
            studio.setting_jobs.leave(other, owner_id(), to=config)


def want_in_tab(key: str, studio: Studio) -> None:
    """Note a job that this tab waits for, whatever setting it shows."""
    studio.viewers.want(_tab(), key)


def _tab() -> str:
    return st.session_state.setdefault(_TAB, secrets.token_hex(8))
