"""Work in the background that belongs to what one tab looks at: it ends once the tab shows something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import streamlit as st

_HELD: Final = "background_held"


class _Held(NamedTuple):
    page: str
    key: str
    end: Callable[[], object]


def hold(page: str, key: str, end: Callable[[], object]) -> None:
    """Have `end` called once this tab shows another page, or other data, or holds work of another key."""
    held: _Held | None = st.session_state.get(_HELD)
    if held is not None and held.key != key:
        held.end()
    st.session_state[_HELD] = _Held(page, key, end)


def let_go(page: str = "") -> None:
    """End what is held, unless it belongs to this page."""
    held: _Held | None = st.session_state.get(_HELD)
    if held is not None and held.page != page:
        st.session_state[_HELD] = None
        held.end()
