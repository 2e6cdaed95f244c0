from __future__ import annotations

import pytest

from app.lessons.lesson import Lesson, WayOn
from app.lessons.lessons import LESSONS, lesson_of
from app.lessons.ways import PAGES, values_of
from app.session.settings import SETTINGS


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: str(lesson.number))
def test_ways_on_lead_to_pages_that_have_their_settings(lesson: Lesson) -> None:
    assert len(lesson.ways_on) >= 2
    for way in lesson.ways_on:
        assert (PAGES / way.page).is_file()
        page = {"index_explorer.py": "explorer"}.get(way.page, way.page.removesuffix(".py"))
        for key, value in values_of(way).items():
            (setting,) = [setting for setting in SETTINGS if setting.key == key]
            assert page in setting.pages
            assert setting.is_allowed(value)


def test_settings_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no setting nonsense"):
        values_of(WayOn("Somewhere", "train.py", {"nonsense": "1"}))
    with pytest.raises(ValueError, match="m 3 is not possible"):
        values_of(WayOn("Somewhere", "index_explorer.py", {"m": "3"}))


def test_there_is_no_lesson_beyond_the_last() -> None:
    with pytest.raises(ValueError, match="there are lessons 1 to 10; got 11"):
        lesson_of(11)
