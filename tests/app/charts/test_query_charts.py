from __future__ import annotations

import numpy as np
import pytest

from app.charts.follow import Column, QueryColumn
from app.charts.query_cuts import MOST_POINTS, QueryCutsData, query_cut, query_cuts_figure
from app.charts.query_lists import QueryListsData, lengths_takeaway, query_lists_figure
from app.charts.query_scores import MOST_PARTS, QueryScoresData, grouped, query_scores_figure, scores_takeaway, strongest_first
from app.charts.query_tokens import QueryTokensData, query_tokens_figure
from tests.app.charts.checked import checked

TOKENS = QueryTokensData(
    ("head 1", "head 2"), np.array([[0.7, 0.3], [0.5, 0.5]]), np.array([[1.0, 2.0], [3.0, 3.5]]), (("#4", "#9"), ("#9", "#1"))
)
LISTS = QueryListsData(("code 4", "code 9"), np.array([1.25, 0.5]), np.array([3, 0]), np.array([8, 5]), 7, 21)
SCORES = QueryScoresData(("1. a ★", "2. b"), ("code 4", "code 9", "3 other lists"), np.array([[3.0, 1.0, 0.5], [2.0, 0.0, 0.25]]))


@pytest.mark.parametrize("dark", [False, True])
def test_a_token_is_divided_among_its_codes_by_weight_with_distances(dark: bool) -> None:
    figure = checked(query_tokens_figure(TOKENS, dark))
    first, second = figure.data
    assert figure.layout.barmode == "stack"
    assert first.x.tolist() == [0.7, 0.5]
    assert list(second.text) == ["#9<br>d² 2.00", "#1<br>d² 3.50"]
    assert first.y == ("head 1", "head 2")
    assert figure.layout.title.text == "The nearest code has 60% of a token's weight on average"


@pytest.mark.parametrize("dark", [False, True])
def test_lists_show_what_is_stored_and_what_the_threshold_keeps(dark: bool) -> None:
    figure = query_lists_figure(LISTS, dark)
    stored, above = checked(figure).data
    assert stored.x.tolist() == [8, 5]
    assert above.x.tolist() == [3, 0]
    assert stored.y == above.y == ("code 4 · w 1.25", "code 9 · w 0.50")
    meta = figure.layout["meta"]
    assert meta["follow"] == [{"trace": 1, "x": QueryColumn.LENGTHS}]
    assert meta["title"] == QueryColumn.LENGTHS_TITLE
    assert figure.layout["title"]["text"] == lengths_takeaway(7, 21) == "21 scores of 7 lists are added up"


def test_a_long_list_is_drawn_at_some_of_its_places_ends_included() -> None:
    scores = np.sort(np.random.default_rng(0).random(5000))[::-1]
    cut = query_cut("code 4", scores)
    assert len(cut.places) == MOST_POINTS
    assert (cut.places[0], cut.places[-1]) == (1, 5000)
    np.testing.assert_array_equal(cut.scores, scores[cut.places - 1])
    short = query_cut("code 9", scores[:3])
    assert short.places.tolist() == [1, 2, 3]
    assert len(query_cut("none", scores[:0]).places) == 0


@pytest.mark.parametrize(("is_log", "axis"), [(True, "log"), (False, None)])
def test_tau_cuts_the_lines_and_follows_the_slider(is_log: bool, axis: str | None) -> None:
    lists = (query_cut("code 4", np.array([4.0, 2.0, 1.0])), query_cut("code 9", np.array([3.0, 2.5])))
    figure = query_cuts_figure(QueryCutsData(lists, 1.5, is_log), False)
    drawn = checked(figure)
    assert [trace.name for trace in drawn.data] == ["code 4", "code 9", "threshold τ"]
    assert drawn.data[-1].y.tolist() == [1.5, 1.5]
    assert drawn.data[-1].x.tolist() == [1, 3]
    assert drawn.data[0].line.dash != drawn.data[1].line.dash
    assert drawn.layout.yaxis.type == axis
    assert figure.layout["meta"]["follow"] == [{"trace": 2, "y": [Column.TAU, Column.TAU]}]


@pytest.mark.parametrize("dark", [False, True])
def test_scores_are_the_sums_of_their_parts(dark: bool) -> None:
    figure = query_scores_figure(SCORES, dark)
    drawn = checked(figure)
    assert drawn.layout.barmode == "stack"
    np.testing.assert_allclose(sum(np.array(trace.x) for trace in drawn.data), SCORES.added.sum(1))
    assert len({trace.marker.pattern.shape for trace in drawn.data}) == 3
    assert [mark["x"] for mark in figure.layout["meta"]["follow"]] == ["query_part_0", "query_part_1", "query_part_2"]
    assert drawn.layout.title.text == "The three strongest lists give 100% of these scores"


def test_the_title_speaks_of_no_more_lists_than_there_are_and_of_the_strongest() -> None:
    assert scores_takeaway(SCORES.added[:, :2]) == "The two strongest lists give 100% of these scores"
    assert scores_takeaway(SCORES.added[:, :1]) == "One list gives 100% of these scores"
    weak_first = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert scores_takeaway(strongest_first(weak_first)) == "The three strongest lists give 90% of these scores"


@pytest.mark.parametrize("n_lists", [0, 3, MOST_PARTS, 9])
def test_lists_are_grouped_without_losing_anything(n_lists: int) -> None:
    contributions = np.random.default_rng(1).random((2, 4, n_lists))
    order = np.argsort(-contributions.sum((0, 1)))
    parts = grouped(contributions, order)
    assert parts.shape == (2, 4, min(n_lists, MOST_PARTS))
    np.testing.assert_allclose(parts.sum(-1), contributions.sum(-1))
    few = min(n_lists, MOST_PARTS - 1)
    np.testing.assert_array_equal(parts[..., :few], contributions[..., order[:few]])


def test_charts_say_so_where_there_is_nothing() -> None:
    nothing = np.zeros((0, 0))
    figures = [
        query_tokens_figure(QueryTokensData((), nothing, nothing, ()), False),
        query_lists_figure(QueryListsData((), nothing[0:0], nothing[0:0], nothing[0:0], 0, 0), False),
        query_cuts_figure(QueryCutsData((query_cut("code 4", np.zeros(0)),), 1.0, False), False),
        query_scores_figure(QueryScoresData((), (), nothing), False),
    ]
    assert [len(checked(figure).layout.annotations) for figure in figures] == [1, 1, 1, 1]
    assert scores_takeaway(nothing) == ""
