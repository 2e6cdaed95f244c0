from __future__ import annotations

import math

import numpy as np
import pytest

from app.charts.follow import SizeColumn
from app.charts.growth import FITTED, GrowthData, growth_data, growth_figure, with_fitted
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, SPARCODE

LOOK = GrowthData("Time per query", "ms", "ms", (), 1_000, SizeColumn.MS, (0.1, 50.0))


def point(name: str, n_items: int, p50_ms: float) -> GrowthPoint:
    return GrowthPoint(name, "", n_items, math.nan, 1.0, 8, math.nan, p50_ms, 0.1, 24)


POINTS = [point(SPARCODE, 1_000, 1.0), point(FLAT, 1_000, 2.0), point(FLAT, 10_000, 20.0), point(ALL_TO_ALL, 10_000, 30.0)]


def data() -> GrowthData:
    return growth_data(LOOK, POINTS, lambda one: one.p50_ms, lambda one: f"of {one.name}")


def test_sparcode_has_a_place_at_every_size_and_others_where_they_are_measured() -> None:
    ours, flat, network = data().series
    assert ours.n_items.tolist() == flat.n_items.tolist() == [1_000, 10_000]
    np.testing.assert_array_equal(ours.values, [1.0, np.nan])
    assert ours.texts == (f"of {SPARCODE}", "")
    assert network.n_items.tolist() == [10_000]


def test_ways_without_a_value_are_left_out() -> None:
    (only,) = growth_data(LOOK, [POINTS[0]._replace(build_seconds=1.0), *POINTS[1:]], lambda one: one.build_seconds, str).series
    assert only.name == SPARCODE


@pytest.mark.parametrize("dark", [False, True])
def test_both_axes_are_logarithmic_and_sparcode_follows_the_threshold(dark: bool) -> None:
    figure = growth_figure(data(), dark)
    assert (figure.x["type"], figure.y["type"]) == ("log", "log")
    assert figure.layout["meta"]["follow"] == [{"trace": 0, "y": SizeColumn.MS}]
    low, high = figure.y["range"]
    assert low < math.log10(0.1)
    assert high > math.log10(50.0)
    (line,) = figure.layout["shapes"]
    assert line["x0"] == line["x1"] == 1_000
    (note,) = [text for text in figure.layout["annotations"] if text["text"] == "real size"]
    assert note["x"] == pytest.approx(3)
    figure.to_json()


def test_without_a_slider_nothing_follows() -> None:
    figure = growth_figure(data()._replace(column=None), False)
    assert "follow" not in figure.layout["meta"]


def test_an_empty_chart_says_so() -> None:
    figure = growth_figure(LOOK, False)
    assert figure.layout["annotations"][0]["text"] == "Nothing is measured yet"


def test_the_fitted_line_stands_beside_the_threshold_looked_at_and_does_not_follow() -> None:
    rows = [
        GrowthPoint(SPARCODE, "", 1_000, share, found, 8, 1.0, share, 0.1, 24) for share, found in ((0.01, 0.9), (0.1, 0.97), (0.5, 1.0))
    ]
    both = with_fitted([rows[2], POINTS[1]], [*rows, POINTS[1]])
    assert [one.name for one in both] == [SPARCODE, FITTED, FLAT]
    assert 0.01 < both[1].share < 0.1
    assert both[1].found == pytest.approx(0.95)
    figure = growth_figure(growth_data(LOOK, both, lambda one: one.p50_ms, str), False)
    assert [mark["trace"] for mark in figure.layout["meta"]["follow"]] == [0]
    assert figure.data[1]["line"]["color"] == figure.data[0]["line"]["color"]
    assert figure.data[1]["line"]["dash"] != figure.data[0]["line"]["dash"]
