from __future__ import annotations

import numpy as np
import pytest

from app.charts.run_curves import curves_takeaway, latency_curves, run_curves_figure, size_curves
from app.charts.user_differences import MOST_BARS, user_differences_data, user_differences_figure
from tests.app.charts.checked import checked
from tests.app.kept.run_examples import run_of

RUNS = [run_of("small", [0.5, 0.7]), run_of("large", [0.7, 0.6], megabytes=9.0, ms=3.0)]


@pytest.mark.parametrize("dark", [False, True])
def test_every_run_has_a_line_of_its_own_look_and_a_mark_where_it_was_trained(dark: bool) -> None:
    figure = checked(run_curves_figure(size_curves(RUNS), dark))
    lines, marks = figure.data[:2], figure.data[2:]
    assert [line.name for line in lines] == ["small", "large"]
    assert len({(line.line.color, line.line.dash, line.marker.symbol) for line in lines}) == 2
    np.testing.assert_allclose(lines[1].x, [18, 9, 4.5])
    assert [(mark.x[0], mark.y[0]) for mark in marks] == [(1.0, pytest.approx(0.6)), (9.0, pytest.approx(0.65))]
    assert figure.layout.xaxis.type == "log"


def test_latency_is_drawn_at_timed_thresholds_alone() -> None:
    data = latency_curves(RUNS)
    np.testing.assert_allclose(data.lines[1].cost, [3.0, 2.4])
    assert data.lines[1].own == 0
    assert curves_takeaway(data) == "large: the fastest within 1% of the best, 3 ms"


def test_the_title_names_the_cheapest_run_that_finds_nearly_the_most() -> None:
    assert curves_takeaway(size_curves(RUNS)) == "large: the smallest within 1% of the best, 9 MB"
    nearly = [run_of("small", [0.645, 0.645]), RUNS[1]]
    assert curves_takeaway(size_curves(nearly)) == "small: the smallest within 1% of the best, 1 MB"
    assert curves_takeaway(size_curves([])) == ""


def test_points_of_much_lower_recall_lie_below_what_is_shown_at_first() -> None:
    poor = run_of("poor", [0.1, 0.1], megabytes=0.001)
    figure = checked(run_curves_figure(size_curves([*RUNS, poor]), False))
    assert figure.layout.yaxis.range[0] > 0.1
    assert 10 ** figure.layout.xaxis.range[0] > 0.1


def test_without_runs_the_chart_says_so() -> None:
    assert checked(run_curves_figure(size_curves([]), False)).layout.annotations[0].text == "No run is measured yet"


@pytest.mark.parametrize("dark", [False, True])
def test_users_stand_in_order_of_their_difference_and_ties_are_empty(dark: bool) -> None:
    data = user_differences_data("the title", "a", "b", np.array([0.1, -0.2, 0.0, 0.3]))
    figure = checked(user_differences_figure(data, dark))
    losses, gains = figure.data
    assert (losses.name, gains.name) == ("a finds more", "b finds more")
    assert (losses.x.tolist(), losses.y.tolist()) == ([1], [-0.2])
    assert (gains.x.tolist(), gains.y.tolist()) == ([3, 4], [0.1, 0.3])
    assert losses.marker.pattern.shape != gains.marker.pattern.shape
    assert figure.layout.annotations[0].text == "mean +0.050"
    assert figure.layout.title.text == "the title"


def test_of_many_users_evenly_spaced_ranks_are_drawn() -> None:
    data = user_differences_data("", "a", "b", np.linspace(-1, 1, 10 * MOST_BARS)[::-1])
    assert len(data.ranks) == MOST_BARS
    assert (data.ranks[0], data.ranks[-1]) == (1, 10 * MOST_BARS)
    assert (np.diff(data.differences) > 0).all()
    assert data.mean == pytest.approx(0)
    assert checked(user_differences_figure(user_differences_data("", "a", "b", np.zeros(0)), False)).layout.annotations
