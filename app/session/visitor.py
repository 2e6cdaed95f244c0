"""Identifies the browser by its cookie, and notes what its tab shows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

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


class Shown(NamedTuple):
    """A setting of a data set, as a tab shows it."""

    studio: Studio
    config: RunConfig

    @property
    def name(self) -> str:
        """Tells it from other settings, of other data too."""
        return self.studio.jobs.key(self.config.content_hash())


def show_in_tab(shown: Shown, left: Shown | None, pinned: RunConfig | None = None) -> None:
    """Note the setting this tab shows now, and the pinned one of the same data.

    If it `left` another setting, the jobs of that one end, those of the pinned one too (the shown setting goes first), unless another tab
    shows it.
    """
    studio, config = shown
    others = [] if pinned is None else [Shown(studio, pinned)]
    keys = keys_of(config).union(*(keys_of(other.config) for other in others))
    studio.viewers.show(_tab(), shown.name, frozenset(map(studio.jobs.key, keys)))
    left = left or shown
    for other in (left, *others):
        if shown.name not in (left.name, other.name) and not studio.viewers.elsewhere(_tab(), owner_id(), other.name):
            other.studio.setting_jobs.leave(other.config, owner_id(), to=config if other.studio is studio else None)


def want_in_tab(key: str, studio: Studio) -> None:
    """Note a job that this tab waits for, whatever setting it shows."""
    studio.viewers.want(_tab(), studio.jobs.key(key))


def _tab() -> str:
    return st.session_state.setdefault(_TAB, secrets.token_hex(8))
