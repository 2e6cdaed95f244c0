from __future__ import annotations

import pytest

from app.measured.figures import Figures
from app.session import run_history as history_module
from app.session.configuration import Configuration
from app.session.run_history import RunHistory

FIRST, SECOND, THIRD = Configuration(), Configuration(k="8"), Configuration(m="2")


def figures(recall: float) -> Figures:
    return Figures("preview", recall, 0.1, 10, 5, None, None, 3, 2.0)


def walked(*visits: Configuration) -> RunHistory:
    history = RunHistory()
    for configuration in visits:
        history.visit(configuration)
    return history


def test_steps_are_undone_and_done_again_in_order() -> None:
    history = walked(FIRST, SECOND, THIRD)
    assert (history.undo(), history.undo(), history.undo()) == (SECOND, FIRST, None)
    assert history.current == FIRST
    assert (history.redo(), history.redo(), history.redo()) == (SECOND, THIRD, None)


def test_the_page_showing_what_was_undone_is_no_new_step() -> None:
    history = walked(FIRST, SECOND)
    history.visit(history.undo())
    assert history.can_redo()
    history.visit(THIRD)
    assert not history.can_redo()
    assert history.undo() == FIRST


def test_nothing_can_be_undone_before_a_second_step() -> None:
    assert RunHistory().current is None
    history = walked(FIRST, FIRST)
    assert (history.can_undo(), history.undo(), history.redo()) == (False, None, None)


def test_a_run_has_one_row_however_often_it_is_looked_at_and_its_latest_figures() -> None:
    history = walked(FIRST, SECOND, FIRST)
    history.record(FIRST, figures(0.1))
    history.record(FIRST, figures(0.2))
    history.record(THIRD, figures(0.3))
    assert [(run.number, run.configuration) for run in history.runs] == [(1, FIRST), (2, SECOND)]
    assert [run.figures and run.figures.recall for run in history.runs] == [0.2, None]
    assert (history.numbered(2), history.numbered(7)) == (SECOND, None)


def test_of_very_many_runs_and_steps_the_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "MOST_RUNS", 2)
    monkeypatch.setattr(history_module, "MOST_STEPS", 2)
    history = walked(FIRST, SECOND, THIRD)
    assert [run.number for run in history.runs] == [2, 3]
    assert (history.undo(), history.undo()) == (SECOND, None)
