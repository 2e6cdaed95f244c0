"""A button that copies the address of what the page shows."""

from __future__ import annotations

import streamlit as st

from app.components.bundle import script, style

_mount = st.components.v2.component(
    "sparcode_copy_link",
    html='<button type="button" class="sparcode-copy-link" title="Its settings are in the address: who opens the link sees the same">'
    '<span>Copy link</span></button><span class="sparcode-copied" role="status"></span>',
    css=style(__file__),
    js=script(__file__),
    isolate_styles=False,
)


def copy_link() -> None:
    """Draw it; the address is the page's own at the moment of the click."""
    _mount(key="copy-link", data={}, width="content", height="content")
