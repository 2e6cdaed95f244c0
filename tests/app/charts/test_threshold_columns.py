from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.charts.follow import Column
from app.charts.memory_parts import memory_parts_data, memory_parts_figure
from app.charts.threshold_columns import MOVING_TILES, threshold_columns
from app.measured.curve import Curve, TimedLatency
from app.measured.figures import delta, figure_text, figures_of
from app.measured.measured_index import MeasuredIndex
from sparcode.metrics.cost import Latency
from sparcode.metrics.latency_parts import LatencyParts
from tests.app.open_studio import measured
from tests.tiny import tiny_index


@pytest.fixture(scope="module")
def stage() -> MeasuredIndex:
    return measured()[-1]


def test_there_is_a_row_for_every_measured_stop_and_for_no_other(stage: MeasuredIndex) -> None:
    given = json.loads(threshold_columns(stage, None))
    assert given["stops"] == stage.curve.stops.tolist()
    assert len(given["stops"]) < len(stage.stops)
    assert set(given["columns"]) == set(Column)
    for name, column in given["columns"].items():
        assert len(column) == len(given["stops"]), name
    assert set(given["tiles"]) == set(MOVING_TILES)
    assert len(given["captions"]) == len(given["stops"])


def test_values_and_texts_are_those_the_server_shows(stage: MeasuredIndex) -> None:
    given = json.loads(threshold_columns(stage, None))
    for row, stop in enumerate(stage.curve.stops.tolist()):
        point = stage.point(stop)
        assert given["columns"]["recall"][row] == pytest.approx(point.recall, rel=1e-5)
        assert given["tiles"]["recall"]["value"][row] == figure_text("recall", point.recall)
        assert given["tiles"]["ndcg"]["caption"][row] == f"precision {point.precision:.3f}"
        assert given["tiles"]["size_bytes"]["value"][row] == figure_text("size_bytes", point.total_bytes)
        assert given["columns"]["accuracy_title"][row] == f"Recall {point.recall:.3f} from {100 * point.density:.3g} % of scores"
        assert (
            given["columns"]["memory_title"][row] == memory_parts_figure(memory_parts_data(point.size_bytes), False).layout["title"]["text"]
        )
        assert sum(given["columns"]["lengths"][row]) == tiny_index().n_lists
        megabytes = [given["columns"][Column.of_part(part)][row] for part in point.size_bytes]
        assert sum(megabytes) == pytest.approx(point.total_bytes / 1e6)


def test_between_timed_stops_texts_are_interpolated_and_marked(stage: MeasuredIndex) -> None:
    timed = replace(stage, _latencies={})
    first, middle, last = (int(stage.curve.stops[at]) for at in (0, 1, 2))
    low, high = (TimedLatency(Latency(p50, 2 * p50, 0, 0, 10, 1), False, LatencyParts(p50, 0, 0, 1)) for p50 in (0.2, 0.6))
    timed._latencies.update({first: low, last: high})
    given = json.loads(threshold_columns(timed, None))["tiles"]
    share = (middle - first) / (last - first)
    assert given["p50_ms"]["value"][:3] == ["0.200 ms", f"≈ {0.2 + 0.4 * share:.3f} ms", "0.600 ms"]
    assert given["p95_ms"]["value"][1] == f"≈ {0.4 + 0.8 * share:.3f} ms"
    assert given["parts"]["value"][:3] == [
        "0.20 + 0.00 + 0.00 + 1.00",
        f"≈ {0.2 + 0.4 * share:.2f} + 0.00 + 0.00 + 1.00",
        "0.60 + 0.00 + 0.00 + 1.00",
    ]
    assert set(given["p50_ms"]["value"][3:]) == set(given["parts"]["value"][3:]) == {"…"}


def test_a_latency_that_was_not_measured_is_not_made_up(stage: MeasuredIndex) -> None:
    stop = int(stage.curve.stops[2])
    stage.latency(stop, busy=False)
    given = json.loads(threshold_columns(stage, None))
    assert [value is not None for value in given["columns"]["p50"]] == [known == stop for known in given["stops"]]
    assert given["tiles"]["p50_ms"]["value"].count("…") == len(given["stops"]) - 1


def test_differences_are_to_the_pinned_run(stage: MeasuredIndex) -> None:
    pinned = figures_of(stage, 0)
    given = json.loads(threshold_columns(stage, pinned))
    assert given["tiles"]["recall"]["delta"][0] == "no change"
    last = stage.point(len(stage.stops) - 1)
    assert given["tiles"]["size_bytes"]["tone"][-1] == "better"
    assert given["tiles"]["recall"]["delta"][-1] == delta("recall", last.recall, pinned.recall).text


def test_without_a_pin_differences_are_to_the_preview_at_the_same_stop(stage: MeasuredIndex) -> None:
    known = Curve(*(column[:-1] for column in stage.curve))
    preview = replace(stage, curve=known._replace(recall=known.recall - 0.1))
    given = json.loads(threshold_columns(stage, None, preview))["tiles"]
    assert given["recall"]["delta"] == ["+0.100"] * (len(stage.curve.stops) - 1) + ["…"]
    assert set(given["recall"]["tone"][:-1]) == {"better"}
    assert set(given["p50_ms"]["delta"]) == {""}
    pinned = json.loads(threshold_columns(stage, figures_of(stage, 0), preview))["tiles"]
    assert pinned["recall"]["delta"][0] == "no change"


def test_a_difference_too_small_to_show_is_none() -> None:
    assert delta("recall", 0.5004, 0.5) == ("no change", "same")
    assert delta("recall", 0.51, 0.5) == ("+0.010", "better")
    assert delta("p50_ms", 0.4, 0.2) == ("+0.200 ms", "worse")
    assert delta("recall", None, 0.5) == delta("recall", 0.5, None) == ("", "same")
    assert figure_text("recall", None) == "…"
