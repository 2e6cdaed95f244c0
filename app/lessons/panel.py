"""Ten guided experiments: a goal, a prediction, the result, what it says, and what to try next."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.lessons.chosen import commit, control_value, guess_of, refused, take_back, write_control
from app.lessons.lesson import Lesson
from app.lessons.lessons import LESSONS, lesson_of
from app.lessons.prediction import Choice
from app.lessons.recorded import address, found_in
from app.lessons.result_panel import explanation, result_stage
from app.lessons.results import LessonResult, LessonResults, lesson_key
from app.lessons.ways import what_next
from app.session import loaders
from app.session.address import forget_refused, read_address, write_address
from app.session.chosen_data import base_settings
from app.session.live_panel import keep_live, live_panel
from app.session.settings import LESSON, LESSON_STEP
from app.session.settings import LESSONS as PAGE
from app.studio import Studio

POLL_SECONDS: Final = 0.5
STEPS: Final = {"1": "1 Goal", "2": "2 Predict", "3": "3 Result", "4": "4 Explanation", "5": "5 What next"}
# From here on a prediction must have been made.
RESULT: Final = "3"
RECORDED_FILE: Final = "lessons.json"
_LIVE: Final = "lessons_live"
# In the session: that a prediction was committed to without an answer.
_UNANSWERED: Final = "lesson_unanswered"
_results: Final[WeakKeyDictionary[Studio, LessonResults]] = WeakKeyDictionary()


def lessons() -> None:
    """The whole panel; it reruns by itself while an experiment runs, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(PAGE, base_settings())
    studio = loaders.studio()
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def results_of(studio: Studio) -> LessonResults:
    """The results of a studio; made once."""
    if studio not in _results:
        folder, data_hash, config = loaders.recorded_folder(), studio.interactions.content_hash(), studio.config

        def recorded(lesson: Lesson, value: str) -> LessonResult | None:
            if folder is None:
                return None
            return found_in(folder.parent / RECORDED_FILE).get(address(data_hash, config, lesson, value))

        return _results.setdefault(studio, LessonResults(recorded))
    return _results[studio]


def _panel(studio: Studio) -> None:
    # First on the page, filled once it is known what is shown.
    answered = st.container()
    lesson = lesson_of(int(st.session_state[LESSON.key]))
    value = control_value(lesson)
    with st.container():
        for text in filter(None, (*read_address(PAGE, base_settings()), refused())):
            st.warning(text)
    write_address(PAGE, base_settings())
    write_control(lesson)
    guess, results = guess_of(lesson, studio), results_of(studio)
    asked = st.session_state[LESSON_STEP.key]
    step = asked if guess is not None or asked < RESULT else "2"
    result = results.of(lesson, value)
    _first_line(answered, lesson, step, result)
    _picker(lesson, studio)
    _stepper(step)
    with st.container(key="lesson-stage"):
        if step == "1":
            _goal(lesson)
        elif step == "2":
            _predict(lesson, studio, asked)
        elif step == "5":
            what_next(lesson, _to_lesson)
        else:
            if step == "4" and result is not None:
                explanation(lesson, guess, result)
                st.button("Predict again", on_click=_again, args=(lesson, studio), help="Hides the result and asks anew")
            result_stage(lesson, value, studio, results)
    _progress(studio, results)
    job = studio.jobs.get(lesson_key(lesson, value))
    keep_live(_LIVE, job is not None and job.active)


def _first_line(answered: DeltaGenerator, lesson: Lesson, step: str, result: LessonResult | None) -> None:
    """The lesson's answer in figures once it may be seen; its goal before."""
    with answered:
        if step < RESULT:
            st.markdown(f"#### {lesson.goal}")
        elif result is None:
            st.markdown("#### Not measured on this data yet: run the experiment")
        else:
            st.markdown(f"#### {lesson.read(result.rows)[0].headline}")


def _picker(lesson: Lesson, studio: Studio) -> None:
    """The choice of a lesson, with those that have a prediction marked."""
    made = [one.number for one in LESSONS if guess_of(one, studio) is not None]
    # Marks change the options, and a widget of other options is another one.
    key = f"lesson-picker-{lesson.number}-{len(made)}"

    def words(number: str) -> str:
        one = lesson_of(int(number))
        return f"{number} · {one.title}" + (" ✓" if one.number in made else "")

    def picked() -> None:
        _to_lesson(st.session_state.get(key) or str(lesson.number))

    st.selectbox(LESSON.label, LESSON.options, lesson.number - 1, format_func=words, key=key, on_change=picked, help=LESSON.help)


def _stepper(step: str) -> None:
    stages, key = list(STEPS), f"lesson-step-{step}"
    place = stages.index(step)

    def changed() -> None:
        _show(st.session_state.get(key) or step)

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.segmented_control(
            LESSON_STEP.label,
            stages,
            default=step,
            format_func=STEPS.__getitem__,
            key=key,
            on_change=changed,
            required=True,
            help=LESSON_STEP.help,
        )
        back, onward = stages[max(0, place - 1)], stages[min(place + 1, len(stages) - 1)]
        st.button("Back", on_click=_show, args=(back,), disabled=place == 0, key="lesson-back", help="The step before")
        last = place == len(stages) - 1
        st.button("Next", on_click=_show, args=(onward,), disabled=last, key="lesson-next", shortcut="N", help="The step after")


def _show(step: str) -> None:
    st.session_state[LESSON_STEP.key] = step
    forget_refused()


def _to_lesson(number: str) -> None:
    st.session_state[LESSON.key] = number
    _show("1")


def _again(lesson: Lesson, studio: Studio) -> None:
    take_back(lesson, studio)
    _show("2")


def _goal(lesson: Lesson) -> None:
    st.markdown(f"**The question.** {lesson.question}")
    st.markdown(f"**What is done.** {lesson.measured}")
    st.markdown(
        f"**What you can vary.** {lesson.control.label}: {', '.join(lesson.control.options.values())}. {lesson.control.help} "
        "Before you see a result you commit to a prediction; what comes out may refute it, or the claim itself."
    )


def _predict(lesson: Lesson, studio: Studio, asked: str) -> None:
    if asked >= RESULT:
        st.info(f"Step {STEPS[asked]} opens once you have committed to a prediction.")
    guess = guess_of(lesson, studio)
    if guess is not None:
        st.markdown(f"You predicted **{_words(lesson, guess)}**. The result is open.")
        st.button("Predict again", on_click=_again, args=(lesson, studio), help="Hides the result and asks anew")
        return
    key, prediction = f"lesson-guess-{lesson.number}", lesson.prediction

    def committed() -> None:
        made = st.session_state.get(key)
        st.session_state[_UNANSWERED] = made is None
        if made is not None:
            commit(lesson, studio, made)
            _show(max(asked, RESULT))

    with st.form(f"lesson-form-{lesson.number}", border=True):
        if isinstance(prediction, Choice):
            st.radio(prediction.question, list(prediction.options), None, format_func=prediction.options.__getitem__, key=key)
        else:
            bounds = (float(prediction.lowest), float(prediction.highest), float(prediction.start), float(prediction.step))
            st.number_input(f"{prediction.question} ({prediction.unit})", *bounds, format="%g", key=key)
        st.form_submit_button("Commit to this prediction", type="primary", on_click=committed)
    if st.session_state.pop(_UNANSWERED, False):
        st.warning("Choose an answer first.")
    st.caption("Answer, then commit: the result stays hidden until then.")


def _words(lesson: Lesson, guess: str | float) -> str:
    prediction = lesson.prediction
    return prediction.options[str(guess)] if isinstance(prediction, Choice) else f"{guess:g} {prediction.unit}"


def _progress(studio: Studio, results: LessonResults) -> None:
    """How many lessons have a prediction, and how many of them held at the control's default."""
    made = [(lesson, guess) for lesson in LESSONS if (guess := guess_of(lesson, studio)) is not None]
    known = [(lesson, guess, result) for lesson, guess in made if (result := results.of(lesson, lesson.control.default)) is not None]
    held = sum(lesson.prediction.judged(guess, result.rows)[0] for lesson, guess, result in known)
    if made:
        st.caption(f"Predictions made in {len(made)} of {len(LESSONS)} lessons; of {len(known)} that are measured, {held} held.")
