from __future__ import annotations

import numpy as np
import pytest

from app.charts.serving_points import ServingPointsData, bytes_data, latency_data, out_of_view
from sparcode.comparison.measuring import UNTIMED
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, HNSW, IVF_PQ, SPARCODE
from tests.app.charts.checked import serving_points_figure
from tests.fakes import served

POINTS = [
    served(SPARCODE, "1% of scores", 0.5, 0.1, 2_000_000),
    served(SPARCODE, "5% of scores", 0.6, 0.2, 4_000_000),
    served(FLAT, "", 0.55, 0.3, 1_000_000),
    served(HNSW, "efSearch 64", 0.5, 0.2, 3_000_000),
    served(IVF_PQ, "1 of 4 cells", 0.2, 0.05, 500_000),
    served(ALL_TO_ALL, "", 0.61, 2.0, 1_000_000),
]


def test_series_hold_cost_and_noise_and_the_front_what_nothing_beats() -> None:
    data = latency_data(POINTS)
    assert [series.name for series in data.series] == [SPARCODE, FLAT, HNSW, IVF_PQ, ALL_TO_ALL]
    ours = data.series[0]
    assert ours.cost.tolist() == [0.1, 0.2]
    assert (ours.low < ours.cost).all()
    assert (ours.high > ours.cost).all()
    assert data.front_recall.tolist() == [0.2, 0.5, 0.6, 0.61]
    assert data.front_cost.tolist() == [0.05, 0.1, 0.2, 2.0]


def test_bytes_are_megabytes_without_noise_and_need_no_timing() -> None:
    data = bytes_data([point._replace(p50_ms=UNTIMED, n_rounds=0) for point in POINTS])
    assert data.front_cost.tolist() == [0.5, 1.0]
    assert data.front_recall.tolist() == [0.2, 0.61]
    assert np.array_equal(data.series[0].low, data.series[0].high)
    assert all(trace.error_x.array is None for trace in serving_points_figure(data, False).data)


@pytest.mark.parametrize("dark", [False, True])
def test_kinds_differ_in_colour_marker_and_dash(dark: bool) -> None:
    front, *series = serving_points_figure(latency_data(POINTS), dark).data
    assert front.name == "Pareto front"
    assert front.line.shape == "hv"
    for looks in ([trace.marker.symbol for trace in series], [trace.line.dash for trace in series], [trace.line.color for trace in series]):
        assert len(set(looks)) == len(series)
    assert series[0].mode == "lines+markers"
    assert series[0].error_x.array.tolist() == pytest.approx([0.005, 0.01])


def test_useless_settings_are_out_of_view_and_counted() -> None:
    data = latency_data(POINTS)
    figure = serving_points_figure(data, False)
    assert out_of_view(data) == 1
    assert figure.layout.yaxis.range[0] > 0.2
    assert figure.layout.xaxis.type == "log"


def test_without_points_the_chart_says_so() -> None:
    untimed: ServingPointsData = latency_data([POINTS[0]._replace(n_rounds=0)])
    figure = serving_points_figure(untimed, False)
    assert [note.text for note in figure.layout.annotations] == ["Nothing is measured yet"]
    assert out_of_view(untimed) == 0
