"""Whether a tab only presents: without navigation, without anything that changes or starts something."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.session.address import plain_text

PRESENT: Final = "present"
# The view that is shown, from 1.
VIEW: Final = "view"


def presents() -> bool:
    """Whether the address asks for it with ``present=1``, or the studio is embedded in another page with ``embed=true``."""
    return bool(st.context.is_embedded) or st.query_params.get_all(PRESENT) == ["1"]


def refused_to_present() -> str:
    """A warning about another value of the parameter; empty without one."""
    asked = st.query_params.get_all(PRESENT)
    if not asked or presents():
        return ""
    return f"The address asks for {PRESENT} = {plain_text(' and '.join(asked)).strip() or 'nothing'}, which is not possible. Allowed: 1."


def asked_view(n_views: int) -> tuple[int, str]:
    """The view that the address asks for, from 0, and a warning if there is no such view; the first without a wish."""
    asked = st.query_params.get_all(VIEW)
    if not asked:
        return 0, ""
    text = " and ".join(asked)
    if text.isdecimal() and text.isascii() and len(text) < 6 and 1 <= int(text) <= n_views:
        return int(text) - 1, ""
    return 0, f"The address asks for {VIEW} = {plain_text(text).strip() or 'nothing'}, which is not possible. Allowed: 1 to {n_views}."
