"""A link that presents what the page shows, in a tab of its own."""

from __future__ import annotations

import streamlit as st

from app.components.bundle import script, style

_mount = st.components.v2.component(
    "sparcode_present_link",
    html='<a class="sparcode-present-link" target="_blank" rel="noopener" title="Large figures for a screen: arrow keys step">Present</a>',
    css=style(__file__),
    js=script(__file__),
    isolate_styles=False,
)


def present_link() -> None:
    """Draw it; its address is the page's own with ``present=1`` at the moment it is used."""
    _mount(key="present-link", data={}, width="content", height="content")
