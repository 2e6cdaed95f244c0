"""One entry in the browser's history for each page, so that Back returns to the page before with its settings."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.bundle import script

_KEY: Final = "page-history"
_mount = st.components.v2.component("sparcode_page_history", html="<span hidden></span>", js=script(__file__))


def page_history() -> None:
    """Have settings replace the page's entry; takes next to no room."""
    with st.container(key=f"{_KEY}-place", height=1, width=1, border=False):
        _mount(key=_KEY, data={})
