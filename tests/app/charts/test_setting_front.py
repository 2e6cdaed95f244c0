from __future__ import annotations

import pytest

from app.charts.setting_front import NAME, setting_front_data
from sparcode.comparison.setting_grid import GridPoint
from tests.app.charts.checked import setting_front_figure

POINTS = [
    GridPoint(1, 8, 1, 0, 0.3, 1_000_000),
    GridPoint(1, 8, 1, 8, 0.2, 2_000_000),
    GridPoint(4, 8, 1, 0, 0.5, 3_000_000),
    GridPoint(2, 8, 1, 0, 0.4, 2_000_000),
]
TUNED = [GridPoint(2, 16, 1, 0, 0.6, 2_500_000), GridPoint(2, 16, 1, 8, 0.55, 1_500_000), GridPoint(2, 16, 1, 16, 0.5, 1_600_000)]


def text_of(point: GridPoint) -> str:
    return f"recall {point.recall}"


@pytest.mark.parametrize("dark", [False, True])
def test_points_have_a_symbol_for_each_m_and_carry_their_number(dark: bool) -> None:
    figure = setting_front_figure(setting_front_data("2 times smaller", POINTS, [], text_of, POINTS[3], 2.5), dark)
    front, one, two, four, answer, budget = figure.data
    assert (list(front.x), list(front.y)) == ([1, 2, 3], [0.3, 0.4, 0.5])
    assert [list(trace.customdata) for trace in (one, two, four)] == [[0, 1], [3], [2]]
    assert list(two.text) == ["recall 0.4"]
    assert len({trace.marker.symbol for trace in (one, two, four)}) == 3
    assert (list(answer.x), list(answer.y)) == ([2], [0.4])
    assert list(budget.x) == [2.5, 2.5]
    assert (figure.layout.title.text, figure.layout.title.subtitle.text, figure.layout.uirevision) == ("2 times smaller", NAME, NAME)


def test_without_answer_and_budget_neither_is_drawn() -> None:
    names = [trace.name for trace in setting_front_figure(setting_front_data("all", POINTS, [], text_of, None, None), False).data]
    assert names == ["Pareto front", "M = 1", "M = 2", "M = 4"]


@pytest.mark.parametrize("dark", [False, True])
def test_fine_tuned_points_are_marked_and_have_a_front_of_their_own(dark: bool) -> None:
    figure = setting_front_figure(setting_front_data("all", POINTS, TUNED, text_of, TUNED[0], None), dark)
    assert [trace.name for trace in figure.data] == [
        "Pareto front",
        "front, fine-tuned",
        "M = 1",
        "M = 2",
        "M = 4",
        "fine-tuned",
        "the answer",
    ]
    own, tuned = figure.data[1], figure.data[5]
    assert (list(own.x), list(own.y)) == ([1.5, 2.5], [0.55, 0.6])
    assert list(tuned.customdata) == [4, 5, 6]
    assert (list(tuned.x), list(tuned.y)) == ([2.5, 1.5, 1.6], [0.6, 0.55, 0.5])
    assert tuned.marker.symbol not in {trace.marker.symbol for trace in figure.data[2:5]}
    assert "fine-tuned" in tuned.hovertemplate


def test_all_points_may_be_fine_tuned() -> None:
    names = [trace.name for trace in setting_front_figure(setting_front_data("all", [], TUNED, text_of, None, 2.0), False).data]
    assert names == ["Pareto front", "front, fine-tuned", "fine-tuned", "budget"]
