"""Who is looking: the browser, told apart by its cookie."""

from __future__ import annotations

import secrets

import streamlit as st

from app.server.middleware import OWNER_COOKIE, is_owner

_SESSION_KEY = "owner"


def owner_id() -> str:
    """The owner of this session's jobs.

    The browser's cookie, so that a refresh or a second tab finds its jobs again; where there is none (the page was not served by the
    launcher, or in a test), a random one for the session.
    """
    if _SESSION_KEY not in st.session_state:
        cookie = st.context.cookies.get(OWNER_COOKIE)
        st.session_state[_SESSION_KEY] = cookie if isinstance(cookie, str) and is_owner(cookie) else secrets.token_urlsafe(24)
    return st.session_state[_SESSION_KEY]
