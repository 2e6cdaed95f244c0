"""Who is looking: the browser by its cookie, and the tab by what it shows."""

from __future__ import annotations

import secrets
from typing import Final

import streamlit as st

from app.server.middleware import OWNER_COOKIE, is_owner
from app.studio import Studio
from sparcode.config import RunConfig

_OWNER: Final = "owner"
_TAB: Final = "tab"


def owner_id() -> str:
    """The owner of this session's jobs.

    The browser's cookie, so that a refresh or a second tab finds its jobs again; where there is none (the page was not served by the
    launcher, or in a test), a random one for the session.
    """
    if _OWNER not in st.session_state:
        cookie = st.context.cookies.get(OWNER_COOKIE)
        st.session_state[_OWNER] = cookie if isinstance(cookie, str) and is_owner(cookie) else secrets.token_urlsafe(24)
    return st.session_state[_OWNER]


def show_in_tab(config: RunConfig, left: RunConfig, studio: Studio) -> None:
    """Note what this tab shows, and cancel the jobs of what it showed before, unless another tab of the browser still shows that.

    Parameters
    ----------
    config, left
        What is shown now, and what was until now; may be the same.
    studio
        Has the jobs.
    """
    tab, owner = st.session_state.setdefault(_TAB, secrets.token_hex(8)), owner_id()
    studio.viewers.show(tab, owner, config.content_hash())
    if left != config and not studio.viewers.elsewhere(tab, owner, left.content_hash()):
        studio.leave(left, owner, to=config)
