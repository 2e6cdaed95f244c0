"""What to try next: into other pages, with their settings, and on to the next lesson."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st

from app.lessons.lesson import Lesson, WayOn
from app.lessons.lessons import LESSONS, lesson_of
from app.session.address import forget_refused
from app.session.settings import SETTINGS

PAGES: Final = Path(__file__).resolve().parents[2] / "pages"


def what_next(lesson: Lesson, to_lesson: Callable[[str], None]) -> None:
    """Buttons of all ways on."""
    st.markdown("**Try next**, with the studio's own pages:")
    for place, way in enumerate(lesson.ways_on):
        if st.button(f"{way.label} →", key=f"lesson-way-{place}"):
            follow(way)
    following = lesson_of(lesson.number % len(LESSONS) + 1)
    words = f"Lesson {following.number}: {following.title} →"
    st.button(words, type="primary", on_click=to_lesson, args=(str(following.number),), key="lesson-following")


def follow(way: WayOn) -> None:
    """Open a page with the settings of a way on; ValueError for a setting that there is not."""
    for setting, value in values_of(way).items():
        st.session_state[setting] = value
    forget_refused()
    st.switch_page(PAGES / way.page)


def values_of(way: WayOn) -> dict[str, object]:
    """Key in the session -> value of the settings of a way on; ValueError for one that there is not, or a value that is not allowed."""
    known = {setting.key: setting for setting in SETTINGS}
    if unknown := set(way.settings) - set(known):
        raise ValueError(f"there is no setting {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return {key: known[key].read(text) for key, text in way.settings.items()}
