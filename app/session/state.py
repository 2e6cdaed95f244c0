"""Settings in the session and in the address: widgets bound to both, and what the address asks for in vain."""

from __future__ import annotations

import re
from typing import Final

import streamlit as st

from app.session.configuration import (
    BUDGET,
    CODEBOOK_SIZE,
    CODEBOOKS,
    ENCODER,
    INTERACTION,
    KEPT,
    SEED,
    SETTINGS,
    TOKENS,
    Configuration,
    NumberSetting,
    Setting,
)

SLIDERS: Final = (CODEBOOKS, CODEBOOK_SIZE, TOKENS)
LISTS: Final = (INTERACTION, ENCODER, SEED)
# Configuration that deltas and ghosts are held against, as `Configuration.text`.
PINNED: Final = "pin"
_HIDDEN: Final = "hidden-settings"
_REFUSED: Final = "refused_settings"
_UNSAFE: Final = re.compile(r"[^\w ,.+-]|_")


def configuration() -> Configuration:
    """All settings' widgets, bound to the address, in one row; the threshold's and the pinned run's are hidden.

    Those two have better controls elsewhere, but only Streamlit's own widgets can be bound to the address.
    """
    values: dict[str, str] = {}
    columns = st.columns((2.6, 3, 2.2, 2, 2, 1.3), gap="medium")
    for column, setting in zip(columns, (*SLIDERS, *LISTS), strict=True):
        with column:
            values[setting.key] = slider(setting) if setting in SLIDERS else choice(setting)
    # Nearly nothing is seen of them even before the page's style sheet, which hides them, has come.
    with st.container(key=_HIDDEN, height=1, width=1, border=False):
        values[KEPT.key] = slider(KEPT)
        st.text_input("Pinned run", key=PINNED, bind="query-params")
    return Configuration(**values)


def slider(setting: Setting) -> str:
    """The slider of a setting, bound to the address.

    Parameters
    ----------
    setting
        One of `SETTINGS`.

    Returns
    -------
    str
        Its value.
    """
    return st.select_slider(
        setting.label,
        options=setting.options,
        value=setting.default,
        help=setting.help,
        key=setting.key,
        bind="query-params",
        on_change=_forget_refused,
    )


def choice(setting: Setting) -> str:
    """The list of a setting's values, bound to the address; otherwise as `slider`."""
    return st.selectbox(
        setting.label,
        options=setting.options,
        index=setting.options.index(setting.default),
        help=setting.help,
        key=setting.key,
        bind="query-params",
        on_change=_forget_refused,
    )


def number(setting: NumberSetting) -> float:
    """The number field of a setting, bound to the address."""
    return st.number_input(
        setting.label,
        min_value=float(setting.least),
        max_value=float(setting.most),
        value=float(setting.default),
        help=setting.help,
        key=setting.key,
        bind="query-params",
        label_visibility="collapsed",
        width=120,
        on_change=_forget_refused,
    )


def go_to(chosen: Configuration) -> None:
    """Set every setting, in the session and in the address; call from a callback, before the widgets run."""
    for key, value in chosen._asdict().items():
        st.session_state[key] = value
    _forget_refused()


def set_threshold(percent: str) -> None:
    """Set the threshold alone; as `go_to`. What is no stop is left out."""
    if percent in KEPT.options:
        st.session_state[KEPT.key] = percent
        _forget_refused()


def pin(chosen: Configuration | None) -> None:
    """Hold figures against another configuration from now on, or against none; as `go_to`."""
    st.session_state[PINNED] = "" if chosen is None else chosen.text


def pinned() -> Configuration | None:
    """The pinned configuration, if there is one; call after `refused_settings`."""
    text = st.session_state.get(PINNED) or ""
    try:
        return Configuration.from_text(text) if text else None
    except ValueError:
        return None


def refused_settings() -> list[str]:
    """What the address asked for and cannot have, in words; call before the widgets, which clear such values from the address.

    Kept until a setting is changed.
    """
    refused = st.session_state.get(_REFUSED, [])
    for setting in (*SETTINGS, BUDGET):
        values = st.query_params.get_all(setting.key)
        if problem := setting.problem(values):
            refused = _with(refused, f"The address asks for {setting.key} = {_plain(values)}, which is not possible; {problem}")
    if problem := _problem_of_pinned(" and ".join(st.query_params.get_all(PINNED))):
        refused = _with(refused, f"The address asks for a pinned run that is not possible, so none is pinned: {_plain([problem])}.")
    if _problem_of_pinned(st.session_state.get(PINNED) or ""):
        # Any text is a value of that widget, so it would stay in the address.
        st.session_state[PINNED] = ""
    st.session_state[_REFUSED] = refused
    return refused


def _problem_of_pinned(text: str) -> str:
    try:
        if text:
            Configuration.from_text(text)
    except ValueError as error:
        return str(error)
    return ""


def _with(refused: list[str], text: str) -> list[str]:
    return [*(known for known in refused if known != text), text]


def _plain(values: list[str]) -> str:
    # The address is anybody's text and the page renders Markdown.
    return _UNSAFE.sub("?", " and ".join(values))[:90]


def _forget_refused() -> None:
    st.session_state[_REFUSED] = []
