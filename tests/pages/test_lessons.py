from __future__ import annotations

import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs.job import JobHandle, JobState
from app.lessons.bench import Bench
from app.lessons.lesson import Lesson
from app.lessons.lessons import LESSONS, lesson_of
from app.lessons.panel import STEPS, results_of
from app.lessons.prediction import Choice
from app.lessons.recorded import address, entry_of, write_lessons
from app.lessons.result_panel import FAILS, HOLDS, RUN
from app.lessons.results import lesson_key, run
from app.session import loaders
from app.session.settings import LESSON, LESSON_STEP
from tests.fakes import PATIENCE
from tests.pages.opened_pages import charts, click, ended, labels, markdown, opened, own_backbone, studio, visited

PAGE = "lessons.py"
COMMIT = "Commit to this prediction"
# Trained by k-means alone: answered within a second.
QUICK = 3

pytestmark = pytest.mark.usefixtures("tiny_app")


def page(**address: str) -> AppTest:
    app = opened(PAGE, **address)
    assert not app.exception
    return app


def predict(app: AppTest, lesson: Lesson, option: int = 0) -> AppTest:
    """Commit to an answer."""
    if isinstance(lesson.prediction, Choice):
        app.radio[0].set_value(list(lesson.prediction.options)[option])
    else:
        app.number_input[0].set_value(lesson.prediction.lowest + option)
    return click(app, COMMIT)


def measured(app: AppTest, lesson: Lesson) -> AppTest:
    """Run the experiment at the step Result, to its end."""
    click(app, RUN)
    job = ended(lesson_key(lesson, lesson.control.default))
    assert job.state is JobState.DONE, job.error
    app.run()
    assert not app.exception
    return app


def test_settings_name_every_lesson_and_step() -> None:
    assert LESSON.options == tuple(str(lesson.number) for lesson in LESSONS)
    assert LESSON_STEP.options == tuple(STEPS)
    assert len(LESSONS) == 10


def test_the_first_step_says_what_is_asked_and_done() -> None:
    app = page()
    lesson = lesson_of(1)
    assert app.markdown[0].value == f"#### {lesson.goal}"
    assert lesson.question in markdown(app)
    assert not charts(app)
    assert app.selectbox(key="lesson-picker-1-0").value == "1"


@pytest.mark.parametrize("step", ["3", "4"])
def test_a_result_stays_hidden_until_a_prediction_is_made(step: str) -> None:
    results_of(studio()).start(lesson_of(QUICK), lesson_of(QUICK).control.default, studio(), "ann")
    ended(lesson_key(lesson_of(QUICK), lesson_of(QUICK).control.default))
    app = page(lesson=str(QUICK), step=step)
    assert not charts(app)
    assert not app.expander
    assert f"Step {STEPS[step]} opens once" in app.info[0].value
    assert app.markdown[0].value == f"#### {lesson_of(QUICK).goal}"
    # Without an answer nothing is committed to.
    predict(app, lesson_of(QUICK))
    assert not app.exception
    assert app.query_params["step"] == step
    assert len(charts(app)) == len(lesson_of(QUICK).pictures)
    assert (HOLDS in _badges(app) or FAILS in _badges(app)) == (step == "4")


def test_a_choice_that_is_not_made_is_not_committed_to() -> None:
    app = page(lesson="4", step="2")
    assert not app.warning
    click(app, COMMIT)
    assert app.warning[0].value == "Choose an answer first."
    assert app.query_params["step"] == "2"
    assert COMMIT in labels(app)


def test_an_experiment_runs_and_its_answer_quotes_what_was_measured() -> None:
    lesson = lesson_of(QUICK)
    app = predict(page(lesson=str(QUICK), step="2"), lesson)
    assert app.query_params["step"] == "3"
    assert "run the experiment" in app.markdown[0].value
    app = measured(app, lesson)
    rows = results_of(studio()).of(lesson, lesson.control.default).rows
    first, *_ = lesson.read(rows)
    assert app.markdown[0].value == f"#### {first.headline}"
    assert "MEASURED HERE" in _badges(app)
    click(app, "Next")
    assert app.query_params["step"] == "4"
    text = markdown(app)
    for reading in lesson.read(rows):
        assert reading.claim in text
        assert reading.headline in text
    assert [HOLDS if reading.holds else FAILS for reading in lesson.read(rows)] == [
        badge for badge in _badges(app) if badge in (HOLDS, FAILS)
    ]
    held, said = lesson.prediction.judged(lesson.prediction.lowest, rows)
    assert (app.success if held else app.warning)[0].value == said


def test_goal_and_question_of_every_lesson_are_shown_without_a_figure() -> None:
    app = page()
    for lesson in LESSONS:
        app.session_state[LESSON.key], app.session_state[LESSON_STEP.key] = str(lesson.number), "1"
        app.run()
        assert app.markdown[0].value == f"#### {lesson.goal}"
        assert lesson.question in markdown(app)
        assert lesson.measured in markdown(app)
        app.button(key="lesson-next").click().run()
        assert not app.exception
        asked = app.radio if isinstance(lesson.prediction, Choice) else app.number_input
        assert asked[0].label.startswith(lesson.prediction.question)
        assert not charts(app)
        assert RUN not in labels(app)


def test_a_recorded_result_is_there_at_once_and_named_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, data, config = lesson_of(QUICK), studio().interactions, studio().config
    where = address(data.content_hash(), config, lesson, lesson.control.default)
    ended(own_backbone())
    result = run(lesson, lesson.control.default, studio(), JobHandle(lambda record: None, lambda: False))
    recorded = result._replace(machine="another machine", measured_at="2026-01-02T03:04:05+00:00", seed=7)
    write_lessons([entry_of(recorded, where, lesson, lesson.control.default)], tmp_path / "lessons.json")
    monkeypatch.setenv(loaders.RECORDED_VARIABLE, str(tmp_path / "recorded"))
    app = predict(page(lesson=str(QUICK), step="2"), lesson)
    assert app.markdown[0].value == f"#### {lesson.read(recorded.rows)[0].headline}"
    assert "RECORDED" in _badges(app)
    assert any("Recorded on 2 January 2026 (another machine), seed 7" in text.value for text in app.caption)
    assert studio().jobs.get(lesson_key(lesson, lesson.control.default)) is None
    # Measured here it takes the place of the recorded one.
    app = measured(app, lesson)
    assert "MEASURED HERE" in _badges(app)
    assert "RECORDED" not in _badges(app)


def test_a_run_under_way_says_what_it_does_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson, begun = lesson_of(QUICK), threading.Event()
    app = predict(page(lesson=str(QUICK), step="2"), lesson)
    tell = Bench.tell

    def told_slowly(bench: Bench, step: str) -> None:
        tell(bench, step)
        begun.set()
        while not bench.should_stop():
            threading.Event().wait(0.01)

    monkeypatch.setattr(Bench, "tell", told_slowly)
    click(app, RUN)
    assert begun.wait(PATIENCE)
    app.run()
    assert "Getting the network ready" in markdown(app)
    assert app.session_state["lessons_live"]
    app.button(key="lesson-cancel").click().run()
    ended(lesson_key(lesson, lesson.control.default))
    app.run()
    assert "was cancelled. Nothing of it is kept." in app.info[0].value
    assert RUN in labels(app)
    assert not charts(app)


def test_an_experiment_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = lesson_of(QUICK)

    def broken(bench: Bench, step: str) -> None:
        raise ValueError("these codebooks do not fit")

    monkeypatch.setattr(Bench, "tell", broken)
    app = click(predict(page(lesson=str(QUICK), step="2"), lesson), RUN)
    assert ended(lesson_key(lesson, lesson.control.default)).state is JobState.FAILED
    app.run()
    assert "these codebooks do not fit" in app.error[0].value
    assert RUN in labels(app)


def test_another_value_of_the_control_is_in_the_address_and_has_its_own_result() -> None:
    lesson = lesson_of(QUICK)
    app = predict(page(lesson=str(QUICK), step="2"), lesson)
    app = measured(app, lesson)
    (control,) = [group for group in app.get("button_group") if str(group.key).startswith("lesson-control-")]
    control.set_value("1x64").run()
    assert app.query_params["vary"] == "1x64"
    assert not charts(app)
    assert RUN in labels(app)
    app = page(lesson=str(QUICK), step="3", vary="1x64")
    assert "vary" in app.query_params


def test_ways_on_open_pages_with_their_settings() -> None:
    lesson = lesson_of(QUICK)
    app = predict(page(lesson=str(QUICK), step="5"), lesson)
    way = lesson.ways_on[0]
    app = click(app, f"{way.label} →")
    assert app.session_state["m"] == way.settings["m"]
    assert app.session_state["k"] == way.settings["k"]


def test_the_next_lesson_begins_with_its_goal() -> None:
    app = predict(page(lesson="10", step="5"), lesson_of(10))
    app.button(key="lesson-following").click().run()
    assert app.query_params.get("lesson", "1") == "1"
    assert app.markdown[0].value == f"#### {lesson_of(1).goal}"


def test_predicting_again_hides_the_result() -> None:
    lesson = lesson_of(QUICK)
    app = measured(predict(page(lesson=str(QUICK), step="2"), lesson), lesson)
    app.button(key="lesson-next").click().run()
    click(app, "Predict again")
    assert app.query_params["step"] == "2"
    assert COMMIT in labels(app)
    assert not charts(app)


def test_an_address_that_asks_for_the_impossible_is_answered() -> None:
    app = visited(PAGE, lesson="11", step="9", vary="nonsense")
    told = " ".join(warning.value for warning in app.warning)
    for asked in ("lesson = 11", "step = 9", "vary = nonsense"):
        assert f"asks for {asked}" in told
    assert app.markdown[0].value == f"#### {lesson_of(1).goal}"


def _badges(app: AppTest) -> list[str]:
    """Texts of all badges."""
    return [text.value.partition("-badge[")[2].rstrip("]") for text in app.markdown if "-badge[" in text.value]
