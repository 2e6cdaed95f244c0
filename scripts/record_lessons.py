"""Records the results of the lessons on the default data: `python -m scripts.record_lessons`. Takes about a quarter of an hour.

Every lesson is run at every value of its control, by the code that the page runs, one after the other on one thread, and written to
`assets/lessons.json` as soon as it is there. `--only 3` records lesson 3 alone; it may be repeated. Results that no lesson asks for
any more, because data, settings or the lesson changed, are dropped. Needed after a change of the default data, of default settings, or of a
lesson.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from app.jobs.job import JobHandle
from app.lessons.lesson import Lesson
from app.lessons.lessons import LESSONS
from app.lessons.recorded import LessonEntry, address, entry_of, read_lessons, write_lessons
from app.lessons.results import run
from app.recorded.runs import RecordedRuns
from app.session import loaders
from app.studio import Studio
from sparcode.data.loading import load

FILE: Final = loaders.RECORDED_FOLDER.parent / "lessons.json"


def record(studio: Studio, wanted: Sequence[tuple[Lesson, str]], file: Path) -> list[LessonEntry]:
    """Run lessons at values of their controls and add them to a file, in place of earlier results; returns all that it holds then."""
    data_hash = studio.interactions.content_hash()
    known = {address(data_hash, studio.config, lesson, value) for lesson in LESSONS for value in lesson.control.options}
    entries = {entry.address: entry for entry in read_lessons(file).results if entry.address in known}
    handle = JobHandle(lambda record: None, threading.Event().is_set)
    for lesson, value in wanted:
        result, where = run(lesson, value, studio, handle), address(data_hash, studio.config, lesson, value)
        entries[where] = entry_of(result, where, lesson, value)
        size = write_lessons(list(entries.values()), file)
        held = ", ".join("holds" if reading.holds else "does not hold" for reading in lesson.read(result.rows))
        print(
            f"lesson {lesson.number}, {lesson.control.label} {value}: {held}; {result.seconds:.1f} s, {result.processor_seconds:.1f} s of "
            f"processor time, load {result.load:.1f} per core; {size:,} bytes in all",
            flush=True,
        )
    return list(entries.values())


def main() -> None:
    """Record lessons of the default data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FILE, help="file for the results")
    parser.add_argument(
        "--only", type=int, action="append", choices=[lesson.number for lesson in LESSONS], help="a lesson; may be repeated"
    )
    parser.add_argument("--missing", action="store_true", help="only what the file lacks, as after a break")
    asked = parser.parse_args()
    # As in the studio's jobs, so that times can be compared.
    torch.set_num_threads(1)
    data = load("synthetic")
    config = loaders.run_config(data.synthetic)
    studio = Studio(data, config, RecordedRuns.opened(loaders.RECORDED_FOLDER, data, config))
    lessons = [lesson for lesson in LESSONS if not asked.only or lesson.number in asked.only]
    wanted = [(lesson, value) for lesson in lessons for value in lesson.control.options]
    if asked.missing:
        there = {entry.address for entry in read_lessons(asked.out).results}
        wanted = [one for one in wanted if address(data.content_hash(), config, *one) not in there]
    # What every visitor sees first comes first.
    wanted.sort(key=lambda one: one[1] != one[0].control.default)
    try:
        record(studio, wanted, asked.out)
    finally:
        studio.close()


if __name__ == "__main__":
    main()
