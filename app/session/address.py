"""Settings in the address: read when a link or the Back button brings one, written after every change.

The session owns the values. Widgets change the session, and the session is written to the address; Streamlit's own binding of widgets to
the address is not used, because there browser and server both write it: a message of the server replaces the whole address by what it was
when the run began, and a press of that moment was lost from it for good.
"""

from __future__ import annotations

import re
from typing import Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.session.configuration import Configuration
from app.session.settings import KEPT, settings_of
from sparcode.config import RunConfig

# The configuration that deltas and ghosts are held against: a `Configuration` or None.
PINNED: Final = "pin"
_READ: Final = "address_read"
_WRITTEN: Final = "address_written"
_REFUSED: Final = "address_refused"
_UNSAFE: Final = re.compile(r"[^\w ,.+()-]|_")
_LONGEST: Final = 60


def plain_text(text: str) -> str:
    """The first 60 characters of a stranger's text (an address, a file name), with a question mark for what Markdown or HTML could mean."""
    return _UNSAFE.sub("?", text)[:_LONGEST]


def read_address(page: str, base: RunConfig) -> list[str]:
    """Take the settings of a page from its address where that is news, and give every other one a value.

    It is news when the session opens the page for the first time, where a setting left out keeps what another page gave it, and after
    Back or Forward, where it has its default. Call before the widgets.

    Parameters
    ----------
    page
        As in `Setting.pages`.
    base
        Where defaults come from.

    Returns
    -------
    list of str
        What the address asked for and cannot have; kept until a setting is changed.
    """
    seen, moved = st.session_state.setdefault(_READ, set()), _went_back_or_forward()
    if page not in seen or moved:
        seen.add(page)
        st.session_state[_REFUSED] = _read(page, base, moved)
    for setting in settings_of(page):
        st.session_state.setdefault(setting.key, setting.default(base))
    st.session_state.setdefault(PINNED, None)
    return st.session_state.get(_REFUSED, [])


def write_address(page: str, base: RunConfig) -> None:
    """Write the settings of a page that are not the default to its address; call after the widgets. What others put there stays.

    Parameters
    ----------
    page, base
        As for `read_address`.
    """
    known = {setting.key for setting in settings_of(page)} | {PINNED}
    reported = {key: st.query_params.get_all(key) for key in st.query_params}
    wanted = {key: values for key, values in reported.items() if key not in known}
    for setting in settings_of(page):
        value = st.session_state[setting.key]
        if setting.is_allowed(value) and value != setting.default(base):
            wanted[setting.key] = [setting.write(value)]
    if page in KEPT.pages and st.session_state[PINNED] is not None:
        wanted[PINNED] = [st.session_state[PINNED].text]
    # What the browser reported may be older than what was last written, which is then still on its way.
    if wanted != reported or st.session_state.get(_WRITTEN, wanted) != wanted:
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = wanted


def forget_refused() -> None:
    """Clear the warnings about rejected URL parameters."""
    st.session_state[_REFUSED] = []


def _read(page: str, base: RunConfig, moved: bool) -> list[str]:
    refused = []
    for setting in settings_of(page):
        values = st.query_params.get_all(setting.key)
        if moved:
            st.session_state[setting.key] = setting.default(base)
        if not values:
            continue
        try:
            (text,) = values
            st.session_state[setting.key] = setting.read(text)
        except ValueError:
            default = setting.default(base)
            st.session_state[setting.key] = default
            refused.append(
                f"The address asks for {setting.key} = {plain_text(' and '.join(values))}, which is not possible for {setting.label}; "
                f"{setting.write(default)} is used. Allowed: {setting.allowed}."
            )
    if page in KEPT.pages:
        text = " and ".join(st.query_params.get_all(PINNED))
        if moved:
            st.session_state[PINNED] = None
        try:
            if text:
                st.session_state[PINNED] = Configuration.from_text(text)
        except ValueError as error:
            refused.append(f"The address asks for a pinned run that is not possible, so none is pinned: {plain_text(str(error))}.")
    return refused


def _went_back_or_forward() -> bool:
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
