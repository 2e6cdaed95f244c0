"""Settings in the address: read when a link or the Back button brings one, written after every change.

The session owns the values: widgets change the session, and the session is written to the address. Streamlit's own binding of widgets to
the address is not used because browser and server both write it: a message of the server replaces the whole address by its state at the
start of the run, so a press in between was lost.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.session.configuration import Configuration
from app.session.settings import KEPT, Setting, settings_of
from sparcode.config import RunConfig

# The pinned `Configuration`, or None.
PINNED: Final = "pin"
_READ: Final = "address_read"
_WRITTEN: Final = "address_written"
_REFUSED: Final = "address_refused"
_UNSAFE: Final = re.compile(r"[^\w ,.+()-]|_")
_LONGEST: Final = 60


def plain_text(text: str) -> str:
    """The first 60 characters of untrusted text (an address, a file name), with question marks for Markdown and HTML syntax."""
    return _UNSAFE.sub("?", text)[:_LONGEST]


def read_address(page: str, base: RunConfig) -> list[str]:
    """Update the settings of a page from a new address, and give every other one a value; call before the widgets.

    An address is new when the session opens the page for the first time, where missing settings keep the value from another page, and after
    Back or Forward, where they get their default. Returns the warnings about rejected parameters, kept until a setting is changed.
    """
    seen, moved = st.session_state.setdefault(_READ, set()), went_back_or_forward()
    if page not in seen or moved:
        seen.add(page)
        st.session_state[_REFUSED] = _read(page, base, moved)
    for setting in settings_of(page):
        st.session_state.setdefault(setting.key, setting.default(base))
    st.session_state.setdefault(PINNED, None)
    return st.session_state.get(_REFUSED, [])


def write_address(page: str, base: RunConfig, given: Collection[Setting] = ()) -> None:
    """Write the settings of a page that are not the default to its address; call after the widgets. Other parameters stay.

    Settings that are `given`, because a kept run is shown, are left out.
    """
    known = {setting.in_address for setting in settings_of(page)} | {PINNED}
    reported = {key: st.query_params.get_all(key) for key in st.query_params}
    wanted = {key: values for key, values in reported.items() if key not in known}
    for setting in settings_of(page):
        value = st.session_state[setting.key]
        if setting not in given and setting.is_allowed(value) and value != setting.default(base):
            wanted[setting.in_address] = [setting.write(value)]
    if page in KEPT.pages and st.session_state[PINNED] is not None:
        wanted[PINNED] = [st.session_state[PINNED].text]
    # The browser may report an address older than the last one written, which is then still on its way.
    if wanted != reported or st.session_state.get(_WRITTEN, wanted) != wanted:
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = wanted


def write_parameter(name: str, text: str) -> None:
    """Put a page's own parameter into the address; empty text takes it out, and nothing is sent where it is there already."""
    if st.query_params.get(name, "") == text:
        return
    if text:
        st.query_params[name] = text
    else:
        del st.query_params[name]


def forget_refused() -> None:
    """Clear the warnings about rejected URL parameters."""
    st.session_state[_REFUSED] = []


def _read(page: str, base: RunConfig, moved: bool) -> list[str]:
    refused = []
    for setting in settings_of(page):
        values = st.query_params.get_all(setting.in_address)
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
            asked = plain_text(" and ".join(values)).strip() or "nothing"
            refused.append(
                f"The address asks for {setting.in_address} = {asked}, which is not possible for {setting.label}; "
                f"{setting.write(default)} is used. Allowed: {setting.allowed}."
            )
    if page in KEPT.pages:
        pins = st.query_params.get_all(PINNED)
        if moved:
            st.session_state[PINNED] = None
        try:
            if pins:
                st.session_state[PINNED] = Configuration.from_text(" and ".join(pins))
        except ValueError as error:
            refused.append(f"The address asks for a pinned run that is not possible, so none is pinned: {plain_text(str(error))}.")
    return refused


def went_back_or_forward() -> bool:
    """Whether the Back or Forward button of the browser brought this run of the page."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation
