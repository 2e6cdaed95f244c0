"""Widgets of the settings, and the calls that set several of them at once."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import streamlit as st

from app.session.address import PINNED, forget_refused
from app.session.chosen_data import given_settings
from app.session.configuration import CHOSEN, DEFAULTS, Configuration
from app.session.settings import KEPT, Setting, has_effect
from sparcode.config import RunConfig

_MADE: Final = "widgets_made"
# Key of a widget -> the value it shows.
_SHOWN: Final = "widgets_shown"


def widget(setting: Setting, collapsed: bool = False) -> Any:
    """Draw the widget of one of `SETTINGS` (not "own"), and return the session's value, see `app.session.address.read_address`.

    With `collapsed` only screen readers get the label. None for a number that is not allowed, which the page then says.
    """
    key = _widget_key(setting)
    value = _take_over(setting, key, _drawn(setting, key, collapsed))
    if setting.control != "number" or (value is not None and setting.is_allowed(value)):
        return value
    st.markdown(f":red[{setting.label}: allowed is {setting.allowed}.]")
    return None


def _drawn(setting: Setting, key: str, collapsed: bool) -> Any:
    value = st.session_state[setting.key]
    common = {"key": key, "help": setting.help, "on_change": _changed, "args": (setting, key)}
    common["disabled"] = not has_effect(setting, st.session_state)
    if setting.control == "slider":
        return st.select_slider(setting.label, _offered(setting, value), value, **common)
    if setting.control == "list":
        return st.selectbox(setting.label, setting.choices, setting.choices.index(value), **common)
    if setting.control == "checkbox":
        return st.checkbox(setting.label, value, **common)
    # Without bounds: with them the browser would not report a number outside, and no message could say why.
    return st.number_input(
        setting.label,
        value=value,
        step=setting.step if setting.number_format != "%d" else int(setting.step),
        format=setting.number_format,
        label_visibility="collapsed" if collapsed else "visible",
        width=120 if collapsed else "stretch",
        **common,
    )


def _offered(setting: Setting, value: str) -> list[str]:
    """The choices of a slider, in order; a kept run may have a number of its own."""
    return list(setting.choices) if value in setting.choices else sorted({*setting.choices, value}, key=float)


def _widget_key(setting: Setting) -> str:
    """The key of the widget that shows the session's value; a new one where the last widget shows another.

    A value is never sent to a widget that a visitor may be moving: the visitor's move and the value would pass each other on the way, and
    browser and session show different values from then on. What the browser still says of an earlier widget is not listened to.
    """
    value = st.session_state[setting.key]
    if st.session_state.setdefault(_SHOWN, {}).get(_last_key(setting), value) != value:
        st.session_state[_MADE][setting.key] += 1
    return _last_key(setting)


def _last_key(setting: Setting) -> str:
    return f"{setting.key}#{st.session_state.setdefault(_MADE, Counter())[setting.key]}"


def _take_over(setting: Setting, key: str, value: Any) -> Any:
    st.session_state[setting.key] = st.session_state[_SHOWN][key] = value
    return value


def _changed(setting: Setting, key: str) -> None:
    # After a run that was cut short Streamlit may not know the widget yet, or not call this: the widget's next drawing has the value.
    if key == _last_key(setting) and key in st.session_state:
        _take_over(setting, key, st.session_state[key])
        forget_refused()


def configuration(base: RunConfig = DEFAULTS) -> Configuration:
    """The widgets of everything in `CHOSEN` that has one, in a row; what a kept run brings along as text, with its values in `base`."""
    given = given_settings()
    shown = [setting for setting in CHOSEN if setting.control != "own" and setting not in given]
    widths = [setting.width for setting in shown] + ([4] if given else [])
    for column, setting in zip(columns := st.columns(widths, gap="medium"), shown, strict=False):
        with column:
            widget(setting)
    if given:
        values = ", ".join(f"{setting.symbol} **{setting.write(setting.value_in(base))}**" for setting in given)
        columns[-1].caption(f"As the run was trained: {values}. Other M, K and P are made from its backbone.")
    return chosen_now()


def chosen_now() -> Configuration:
    """The session's choice, also before the widgets have run; after `read_address`."""
    given = given_settings()
    # What cannot be chosen does not tell choices apart.
    return Configuration(*(setting.default(DEFAULTS) if setting in given else st.session_state[setting.key] for setting in CHOSEN))


def go_to(chosen: Configuration) -> None:
    """Set everything in `CHOSEN`; call from a callback, before the widgets run."""
    for key, value in chosen._asdict().items():
        st.session_state[key] = value
    forget_refused()


def set_threshold(percent: str) -> None:
    """Set the threshold alone, as `go_to`; anything but a stop is ignored."""
    if percent in KEPT.options:
        st.session_state[KEPT.key] = percent
        forget_refused()


def pin(chosen: Configuration | None) -> None:
    """Compare figures with this configuration from now on, or with none; as `go_to`."""
    st.session_state[PINNED] = chosen


def pinned() -> Configuration | None:
    """The pinned configuration, if there is one."""
    return st.session_state.get(PINNED)
