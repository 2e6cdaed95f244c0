"""What a visitor chose: the value of each lesson's control, and the predictions made; the control's value is in the address."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.lessons.lesson import Lesson
from app.session.address import plain_text, went_back_or_forward, write_parameter
from app.studio import Studio

# In the address.
VARY: Final = "vary"
_VALUES: Final = "lesson_values"
_READ: Final = "lesson_vary_read"
_REFUSED: Final = "lesson_vary_refused"
_GUESSES: Final = "lesson_guesses"


def control_value(lesson: Lesson) -> str:
    """The value of a lesson's control; the first time the one of the address."""
    values: dict[int, str] = st.session_state.setdefault(_VALUES, {})
    moved = went_back_or_forward()
    if not st.session_state.get(_READ) or moved:
        st.session_state[_READ] = True
        asked = " and ".join(st.query_params.get_all(VARY))
        st.session_state[_REFUSED] = ""
        if asked in lesson.control.options:
            values[lesson.number] = asked
        elif asked:
            st.session_state[_REFUSED] = (
                f"The address asks for {VARY} = {plain_text(asked).strip() or 'nothing'}, which is not possible for "
                f"{lesson.control.label}; {lesson.control.default} is used. Allowed: {', '.join(lesson.control.options)}."
            )
        if not asked and moved:
            values.pop(lesson.number, None)
    return values.get(lesson.number, lesson.control.default)


def refused() -> str:
    """What the address asked for in vain; empty for nothing."""
    return st.session_state.get(_REFUSED, "")


def set_control(lesson: Lesson, value: str) -> None:
    """Choose a value of a lesson's control; ignored if it has no such value."""
    if value in lesson.control.options:
        st.session_state.setdefault(_VALUES, {})[lesson.number] = value
        st.session_state[_REFUSED] = ""


def write_control(lesson: Lesson) -> None:
    """Put the value into the address unless it is the default."""
    value = st.session_state.get(_VALUES, {}).get(lesson.number, lesson.control.default)
    write_parameter(VARY, "" if value == lesson.control.default else value)


def guess_of(lesson: Lesson, studio: Studio) -> str | float | None:
    """The prediction made for a lesson on this data; None before there is one."""
    return st.session_state.get(_GUESSES, {}).get((studio.scope, lesson.number))


def commit(lesson: Lesson, studio: Studio, guess: str | float) -> None:
    """Make a prediction; ignored if the question has no such answer."""
    if lesson.prediction.allows(guess):
        st.session_state.setdefault(_GUESSES, {})[studio.scope, lesson.number] = guess


def take_back(lesson: Lesson, studio: Studio) -> None:
    """Forget the prediction, so that the result is hidden again."""
    st.session_state.get(_GUESSES, {}).pop((studio.scope, lesson.number), None)
