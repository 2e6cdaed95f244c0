"""One browser history entry per page, so that Back returns to the previous page with its settings."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.bundle import script

_KEY: Final = "page-history"
_mount = st.components.v2.component("sparcode_page_history", html="<span hidden></span>", js=script(__file__))


def page_history() -> None:
    """Let changed settings replace the page's history entry."""
    with st.container(key=f"{_KEY}-place", height=1, width=1, border=False):
        _mount(key=_KEY, data={})
