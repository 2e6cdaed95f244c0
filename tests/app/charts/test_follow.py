from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go
import pytest

from app.charts.follow import Column, axes_stay, let_follow
from app.charts.frame import Figure, titled_figure
from app.charts.threshold_curve import threshold_curve_data
from tests.app.charts.checked import checked, threshold_curve_figure

DENSITY, RECALL, NDCG = np.array([0.5, 0.1, 0.01]), np.array([0.9, 0.7, 0.2]), np.array([0.6, 0.5, 0.1])


def drawn(row: int, ceiling: float | None = 1.0) -> go.Figure:
    """The curve with the slider at one of its stops."""
    columns = (np.array([0.1, 0.2, 0.3]), DENSITY, RECALL, NDCG)
    now = (float(DENSITY[row]), float(RECALL[row]), float(NDCG[row]))
    return threshold_curve_figure(threshold_curve_data(columns, now, ceiling, 50), False)


def test_no_stop_moves_the_axes_of_a_chart_whose_axes_stay() -> None:
    first, last = drawn(0), drawn(2)
    assert first.layout.meta["axes_stay"]
    assert first.layout.title.text != last.layout.title.text
    assert first.layout.update(title=None) == last.layout.update(title=None)


def test_all_traces_and_the_ceiling_have_room_and_the_direction_is_kept() -> None:
    layout = drawn(1).layout
    left, right = layout.xaxis.range
    assert left > math.log10(50) > math.log10(1) > right
    assert layout.yaxis.range[0] == 0
    assert layout.yaxis.range[1] > 1.0


def with_marks(x: list[float], y: list[float]) -> Figure:
    """Markers that follow the threshold, on axes that stay."""
    figure = titled_figure("t", "x", "y", False)
    figure.add_scatter(x=np.array(x), y=np.array(y))
    let_follow(figure, x=Column.PERCENT)
    axes_stay(figure)
    return figure


def test_values_that_are_no_numbers_are_left_out() -> None:
    figure = checked(with_marks([1.0, np.nan], [2.0, np.nan]))
    assert figure.layout.xaxis.range == pytest.approx((0.94, 1.06))
    assert not figure.data[0].cliponaxis


def test_without_numbers_there_is_nothing_to_hold() -> None:
    figure = checked(with_marks([np.nan], [np.nan]))
    assert figure.layout.xaxis.range is None
    assert "axes_stay" not in figure.layout.meta
