from __future__ import annotations

import math
from pathlib import Path

import pytest

from app.lessons.lessons import LESSONS, lesson_of
from app.lessons.reading import Row
from app.lessons.recorded import address, entry_of, found_in, read_lessons, result_of, write_lessons
from app.lessons.results import LessonResult
from app.session import loaders
from scripts.record_lessons import FILE
from sparcode.data.loading import load
from tests.tiny import CONFIG, changed

LESSON = lesson_of(10)
RESULT = LessonResult(
    rows=[Row("one", {"share": 0.5, "work": math.nan})],
    seconds=2.0,
    processor_seconds=1.5,
    load=math.nan,
    seed=3,
    data_name="some data",
    machine="a machine",
    measured_at="2026-11-30T12:00:00+00:00",
)


def test_a_result_survives_the_file(tmp_path: Path) -> None:
    file, where = tmp_path / "lessons.json", address("data", CONFIG, LESSON, "1")
    assert write_lessons([entry_of(RESULT, where, LESSON, "1")], file) == file.stat().st_size
    read = found_in(file)[where]
    assert read.rows[0]["share"] == 0.5
    assert math.isnan(read.rows[0]["work"])
    assert (read.seed, read.machine, read.seconds) == (3, "a machine", 2.0)
    assert read.recording.day == "2026-11-30"
    assert "30 November 2026 (a machine)" in read.recording.words
    # No hidden file stays.
    assert list(tmp_path.iterdir()) == [file]


def test_an_address_tells_data_settings_lessons_and_values_apart() -> None:
    other = changed(training={"density": 0.31})
    found = {address(data, config, LESSON, "1") for data in ("data", "other") for config in (CONFIG, other)}
    found |= {address("data", CONFIG, lesson_of(9), "1"), address("data", CONFIG, LESSON, "2")}
    assert len(found) == 6


def test_damaged_files_are_refused_and_no_page_fails_by_them(tmp_path: Path) -> None:
    assert read_lessons(tmp_path / "none.json").results == []
    file = tmp_path / "lessons.json"
    for text, reason in (("{", "damaged"), ("[]", "not of format 1"), ('{"format_version": 1, "results": [{}]}', "damaged")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=reason):
            read_lessons(file)
        found_in.cache_clear()
        assert found_in(file) == {}


def test_a_file_stays_small(tmp_path: Path) -> None:
    entry = entry_of(RESULT._replace(rows=[Row("one", {"x": 0.123})] * 30_000), "a", LESSON, "1")
    with pytest.raises(ValueError, match=r"recorded lessons take .* bytes; at most 500,000"):
        write_lessons([entry], tmp_path / "lessons.json")
    assert not list(tmp_path.iterdir())


def test_every_lesson_of_the_default_data_is_recorded_at_every_value_of_its_control() -> None:
    data = load("synthetic")
    config, data_hash = loaders.run_config(data.synthetic), data.content_hash()
    recorded = found_in(FILE)
    missing = [
        (lesson.number, value)
        for lesson in LESSONS
        for value in lesson.control.options
        if address(data_hash, config, lesson, value) not in recorded
    ]
    assert not missing, "record again: python -m scripts.record_lessons --missing"
    assert len(recorded) == sum(len(lesson.control.options) for lesson in LESSONS)


@pytest.mark.parametrize("entry", read_lessons(FILE).results, ids=lambda entry: f"{entry.lesson}-{entry.value}")
def test_what_is_recorded_can_be_read_as_its_lesson(entry: object) -> None:
    lesson, result = lesson_of(entry.lesson), result_of(entry)
    assert lesson.prediction.judged(lesson.prediction.answer(result.rows), result.rows)[0]
    assert all(reading.headline for reading in lesson.read(result.rows))
