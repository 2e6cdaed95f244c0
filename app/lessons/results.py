"""Results of lessons: run in the background, kept until they are run again, or recorded."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from app.jobs.job import JobHandle, JobSnapshot
from app.lessons.bench import Bench
from app.lessons.lesson import Lesson
from app.lessons.reading import Rows
from app.models.trained import Recording
from app.studio import Studio
from sparcode.runs.machine import machine_facts, machine_load

LANE: Final = "training"


class LessonResult(NamedTuple):
    """An experiment's figures, and what they depend on.

    Attributes
    ----------
    seconds, processor_seconds
        Wall time, and time of the processor in the thread that ran it.
    load
        Processes that wanted the processor meanwhile, by the system's average, per core; NaN where the system does not tell.
    measured_at
        Local time, ISO 8601.
    recording
        When and where it was recorded; None: it was measured here.
    """

    rows: Rows
    seconds: float
    processor_seconds: float
    load: float
    seed: int
    data_name: str
    machine: str
    measured_at: str
    recording: Recording | None = None


class LessonResults:
    """Results of one studio, without a reference to it, so that it is freed once it is closed. Safe to share between threads.

    `recorded` gives the recorded result of a lesson at a value of its control, or None.
    """

    def __init__(self, recorded: Callable[[Lesson, str], LessonResult | None]) -> None:
        self._recorded = recorded
        self._measured: dict[tuple[int, str], LessonResult] = {}
        self._lock = threading.Lock()

    def of(self, lesson: Lesson, value: str) -> LessonResult | None:
        """The result measured here, else the recorded one; None if there is neither."""
        with self._lock:
            known = self._measured.get((lesson.number, value))
        return known or self._recorded(lesson, value)

    def start(self, lesson: Lesson, value: str, studio: Studio, owner: str) -> JobSnapshot:
        """Run an experiment in the background, or join the run under way; ValueError for a value that the control does not have."""
        if value not in lesson.control.options:
            raise ValueError(f"{lesson.control.label} must be one of {', '.join(lesson.control.options)}; got {value}")

        def work(handle: JobHandle) -> None:
            result = run(lesson, value, studio, handle)
            with self._lock:
                self._measured[lesson.number, value] = result

        label = f"lesson {lesson.number}, {lesson.title[0].lower()}{lesson.title[1:]}"
        return studio.jobs.submit(lesson_key(lesson, value), label, work, owner, LANE)


def run(lesson: Lesson, value: str, studio: Studio, handle: JobHandle) -> LessonResult:
    """Run an experiment now; JobCancelled if the handle's job is cancelled."""
    began, started, at_work = datetime.datetime.now().astimezone(), time.perf_counter(), time.thread_time()
    rows = lesson.experiment(Bench(studio, handle), value)
    handle.check()
    return LessonResult(
        rows=rows,
        seconds=time.perf_counter() - started,
        processor_seconds=time.thread_time() - at_work,
        load=machine_load(),
        seed=studio.config.training.seed,
        data_name=studio.interactions.name,
        machine=machine_facts(),
        measured_at=began.isoformat(timespec="seconds"),
    )


def lesson_key(lesson: Lesson, value: str) -> str:
    """Key of the job that runs an experiment."""
    return f"lesson/{lesson.number}/{value}"
