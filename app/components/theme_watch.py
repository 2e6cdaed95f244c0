"""Reruns the page when the reader switches between light and dark, because charts are drawn for one of them."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.bundle import script

_KEY: Final = "theme-watch"

_mount = st.components.v2.component("sparcode_theme_watch", html="<span hidden></span>", js=script(__file__))


def theme_watch() -> None:
    """Rerun the page when its background changes from light to dark or back."""
    with st.container(key=f"{_KEY}-place", height=1, width=1, border=False):
        _mount(key=_KEY, data={"dark": st.context.theme.type == "dark"}, on_theme_change=_rerun)


def _rerun() -> None:
    """Having been called is enough: the script runs."""
