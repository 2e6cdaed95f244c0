"""Every chart: the figure holds the numbers given, and says so where there are none."""

from __future__ import annotations

import base64
import json
import math
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest

from app.charts.code_usage import code_usage_data
from app.charts.codes_stored import codes_stored_data
from app.charts.follow import Column
from app.charts.frame import PINNED, titled_figure
from app.charts.list_lengths import list_lengths_data
from app.charts.memory_parts import memory_parts_data
from app.charts.recall_latency import recall_latency_data
from app.charts.recall_size import MOST_OTHERS, Peer, TradeOff, recall_size_data, trade_off
from app.charts.score_cut import score_cut_data
from app.charts.threshold_curve import PinnedCurve, ThresholdCurveData, threshold_curve_data
from app.charts.training_curve import training_curve_data
from app.theme import BACKGROUND_DARK, BACKGROUND_LIGHT
from sparcode.comparison.peers import ROSTER, SPARCODE, TWO_TOWER
from sparcode.training.epoch_record import EpochRecord
from tests.app.charts.checked import (
    code_usage_figure,
    codes_stored_figure,
    list_lengths_figure,
    memory_parts_figure,
    recall_latency_figure,
    recall_size_figure,
    score_cut_figure,
    threshold_curve_figure,
    training_curve_figure,
)

TAU, DENSITY = np.array([0.3, 0.1, 0.2]), np.array([0.01, 0.5, 0.1])
RECALL, NDCG = np.array([0.2, 0.6, 0.5]), np.array([0.1, 0.4, 0.3])
NOTHING = np.zeros(0)
LINE = trade_off("M=2 K=128", np.array([2e6, 1e6]), np.array([0.6, 0.5]))
THIS, OTHER = (trade_off(label, np.array([1e6, 2e6]), np.array([0.1, 0.5])) for label in ("this", "other"))
TIMED = (np.array([0.2, 0.3]), np.array([0.4, 0.5]), np.array([False, True]))


def record(epoch: int, loss: float, recall: float, perplexity: float = math.nan) -> EpochRecord:
    return EpochRecord(epoch, loss, 0.0, recall, perplexity, 0.0, 5, 0, 1.0, False)


def curve(current: tuple[float, float, float] | None = (0.1, 0.5, 0.3), ceiling: float | None = 0.7) -> ThresholdCurveData:
    return threshold_curve_data((TAU, DENSITY, RECALL, NDCG), current, ceiling, k=50)


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    """Named traces."""
    return {trace.name: trace for trace in figure.data if trace.name}


def notes(figure: go.Figure) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


def every_figure(dark: bool) -> list[go.Figure]:
    return [
        code_usage_figure(code_usage_data(np.array([[3, 1]]), np.array([1.8])), dark),
        list_lengths_figure(list_lengths_data(np.array([1, 5]), 10), dark),
        memory_parts_figure(memory_parts_data({"codes": 8}), dark),
        codes_stored_figure(codes_stored_data(2, 4, 9, 8), dark),
        recall_latency_figure(recall_latency_data((NOTHING, NOTHING, NOTHING.astype(bool)), (1.0, 0.5), 50), dark),
        score_cut_figure(score_cut_data(np.array([1.0, 2.0]), np.array([3]), 1.5), dark),
        recall_size_figure(recall_size_data(LINE, [], None, 50), dark),
        threshold_curve_figure(curve(), dark),
        training_curve_figure(training_curve_data("Training", [record(1, 2.0, 0.5)]), dark),
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_every_chart_has_a_title_and_its_look_and_keeps_the_readers_zoom(dark: bool) -> None:
    figures = every_figure(dark)
    titles = [figure.layout.title.subtitle.text or figure.layout.title.text for figure in figures]
    assert len(set(titles)) == len(figures)
    assert all(title.startswith(figure.layout.uirevision) for figure, title in zip(figures, titles, strict=True))
    background = BACKGROUND_DARK if dark else BACKGROUND_LIGHT
    assert {figure.layout.paper_bgcolor for figure in figures} == {background}
    assert all(len(figure.data) > 0 for figure in figures)


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        (code_usage_figure(code_usage_data(np.zeros((2, 4)), np.zeros(2)), False), "No code is in use"),
        (list_lengths_figure(list_lengths_data(NOTHING, 10), False), "The index has no lists"),
        (memory_parts_figure(memory_parts_data({}), False), "Building the whole index ..."),
        (recall_latency_figure(recall_latency_data((NOTHING, NOTHING, NOTHING.astype(bool)), None, 50), False), "Not timed yet ..."),
        (score_cut_figure(score_cut_data(np.array([0.0, 1.0]), np.zeros(1), 0.5), False), "The index has no scores"),
        (recall_size_figure(recall_size_data(TradeOff("a", NOTHING, NOTHING), [], None, 50), False), "Building the whole index ..."),
        (threshold_curve_figure(threshold_curve_data((NOTHING,) * 4, None, None, 50), False), "Measuring ..."),
        (training_curve_figure(training_curve_data("Training", []), False), "Waiting for the first epoch ..."),
    ],
    ids=["usage", "lengths", "memory", "latency", "scores", "size", "threshold", "training"],
)
def test_a_chart_without_data_says_why(figure: go.Figure, says: str) -> None:
    assert notes(figure) == [says]
    assert len(figure.data) == 0
    assert figure.layout.title.text


@pytest.mark.parametrize(
    "values",
    [
        np.array([0, 2, 3]),
        np.array([0.5, np.nan, np.inf]),
        np.array([1.5, 2.0], dtype=np.float32),
        np.arange(6.0).reshape(3, 2),
        np.arange(6.0)[::2],
        np.array([2**40, 1]),
        np.array(["a", "b"]),
        np.array([True, False]),
    ],
    ids=["integers", "not finite", "float32", "two columns", "every second", "large", "texts", "truths"],
)
def test_arrays_arrive_as_they_were(values: np.ndarray) -> None:
    figure = titled_figure("t", "x", "y", False)
    figure.add_scatter(customdata=values, opacity=np.float64(0.5), uid=np.int64(3))
    read = json.loads(figure.to_json())["data"][0]
    assert (read["opacity"], read["uid"]) == (0.5, 3)
    arrived = read["customdata"]
    if isinstance(arrived, dict):
        shape = [int(size) for size in arrived["shape"].split(",")] if "shape" in arrived else -1
        arrived = np.frombuffer(base64.b64decode(arrived["bdata"]), arrived["dtype"]).reshape(shape)
    np.testing.assert_array_equal(arrived, values)


def test_a_number_that_browsers_cannot_read_is_refused() -> None:
    figure = titled_figure("t", "x", "y", False)
    figure.add_level(math.nan, {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        figure.to_json()


def test_codewords_are_shown_by_use_relative_to_an_even_share() -> None:
    data = code_usage_data(np.array([[1, 0, 3, 0], [2, 2, 2, 2]]), np.array([1.75, 4.0]))
    assert data.relative.tolist() == [[3, 1, 0, 0], [1, 1, 1, 1]]
    figure = code_usage_figure(data, False)
    assert [trace.y.tolist() for trace in figure.data] == data.relative.tolist()
    assert figure.data[0].x.tolist() == [1, 2, 3, 4]
    assert figure.data[0].line.dash != figure.data[1].line.dash


def test_an_unused_codebook_is_flat_at_zero() -> None:
    assert code_usage_data(np.array([[0, 0], [4, 0]]), np.zeros(2)).relative.tolist() == [[0, 0], [2, 0]]


def test_lists_are_counted_by_length() -> None:
    lengths = np.array([0, 1, 299, 300, 150])
    data = list_lengths_data(lengths, 300)
    assert data.counts.sum() == len(lengths)
    assert (data.counts[0], data.counts[15], data.counts[-1]) == (2, 1, 2)
    assert (data.width, data.median) == (300 / len(data.counts), 150)
    figure = list_lengths_figure(data, False)
    assert figure.data[0].y.tolist() == data.counts.tolist()
    (line,) = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines+text"]
    assert (line.x.tolist(), line.text[-1]) == ([150, 150], "median 150")
    assert line.y[1] > data.counts.max()


def every_following_figure() -> list[go.Figure]:
    return [
        list_lengths_figure(list_lengths_data(np.array([1, 5]), 10), False),
        memory_parts_figure(memory_parts_data({"codes": 8, "scores": 16}), False),
        recall_size_figure(recall_size_data(LINE, [], (1e6, 0.5), 50), False),
        recall_latency_figure(recall_latency_data(TIMED, None, 50), False),
        score_cut_figure(score_cut_data(np.array([1.0, 2.0, 4.0]), np.array([3, 1]), 1.5), False),
        threshold_curve_figure(curve(), False),
    ]


@pytest.mark.parametrize("figure", every_following_figure(), ids=lambda figure: figure.layout.title.text)
def test_what_follows_the_threshold_takes_as_many_values_as_its_trace_has(figure: go.Figure) -> None:
    assert figure.layout.meta["follow"]
    for mark in figure.layout.meta["follow"]:
        trace = figure.data[mark["trace"]]
        for part in {"x", "y", "text"} & set(mark):
            sources = mark[part] if isinstance(mark[part], list | tuple) else [mark[part]]
            assert all(source in set(Column) for source in sources if isinstance(source, str) and source)
            values = getattr(trace, part)
            # A single name stands for one value, or for a column of arrays where there are bars.
            expected = len(mark[part]) if isinstance(mark[part], list | tuple) else len(values) if trace.type == "bar" else 1
            assert len(values) == expected


def test_the_cut_is_a_line_at_the_threshold_and_what_is_kept_lies_to_its_right() -> None:
    figure = score_cut_figure(score_cut_data(np.array([1.0, 2.0, 4.0]), np.array([3, 1]), 1.5, pinned=3.0), False)
    named = traces(figure)
    assert named["threshold τ"].x.tolist() == [1.5, 1.5]
    assert named["kept"].x.tolist() == [1.5, 4.0]
    assert named[PINNED].x.tolist() == [3.0, 3.0]
    assert named["scores"].y.tolist() == [3, 1]


def test_only_timed_thresholds_are_points_and_those_timed_beside_jobs_are_hollow() -> None:
    peer = Peer("two-tower", "two-tower", 1.0, 0.45)
    named = traces(recall_latency_figure(recall_latency_data(TIMED, (0.3, 0.5), 50, peers=(peer,)), False))
    assert (named["timed alone"].x.tolist(), named["timed beside jobs"].x.tolist()) == ([0.2], [0.3])
    assert named["timed alone"].mode == "markers"
    assert named["timed beside jobs"].marker.symbol.endswith("-open")
    assert (named["two-tower"].x.tolist(), named["now"].x.tolist()) == ([1.0], [0.3])


def test_codes_are_counted_from_the_possible_ones_to_the_stored_lists() -> None:
    figure = codes_stored_figure(codes_stored_data(2, 128, 900, 880, pinned=(64, 50, 50)), False)
    assert figure.data[0].x.tolist() == [128**2, 900, 880]
    assert figure.data[0].text == ("16,384", "900", "880")
    assert "1.84e+19" in codes_stored_figure(codes_stored_data(8, 256, 9, 9), False).data[0].text
    assert traces(figure)[PINNED].x.tolist() == [64, 50, 50]


def every_ghost() -> list[go.Figure]:
    lengths, records = list_lengths_data(np.array([1, 5]), 10), [record(1, 2.0, 0.5)]
    return [
        code_usage_figure(code_usage_data(np.array([[3, 1]]), np.array([1.8]), np.array([[1, 1], [4, 0]])), False),
        list_lengths_figure(lengths._replace(pinned=lengths.counts), False),
        memory_parts_figure(memory_parts_data({"codes": 8}, {"codes": 4}), False),
        recall_size_figure(recall_size_data(THIS, [], None, 50, (OTHER, (1e6, 0.1))), False),
        threshold_curve_figure(curve()._replace(pinned=PinnedCurve(np.array([50.0]), np.array([0.3]), (50.0, 0.3))), False),
        training_curve_figure(training_curve_data("Training", records, records), False),
    ]


@pytest.mark.parametrize("figure", every_ghost(), ids=lambda figure: figure.layout.title.text)
def test_a_pinned_run_stands_behind_in_grey_and_dashed_or_hollow(figure: go.Figure) -> None:
    scatters = [trace for trace in figure.data if trace.type == "scatter"]
    grey = [trace for trace in scatters if trace.name == PINNED or trace.line.dash == "4px,3px"]
    assert grey
    for trace in grey:
        assert trace.line.dash == "4px,3px" or trace.marker.symbol.endswith("-open")


def test_bins_stay_where_they_are_when_the_threshold_moves() -> None:
    few, many = (list_lengths_data(np.array(lengths), 90) for lengths in ([1, 2], [60, 90]))
    assert np.array_equal(few.centres, many.centres)


def test_parts_are_shown_in_megabytes_largest_on_top() -> None:
    data = memory_parts_data({"scores": 4_000_000, "item_ids": 8_000_000, "codes": 1_000})
    assert data.labels == ("codes", "scores", "item ids")
    figure = memory_parts_figure(data, False)
    assert figure.data[0].x.tolist() == [0.001, 4, 8]
    assert figure.data[0].y == data.labels


def test_a_trade_off_is_in_megabytes_and_ascends() -> None:
    line = trade_off("a", np.array([3_000_000, 1_000_000]), np.array([0.6, 0.2]))
    assert (line.megabytes.tolist(), line.recall.tolist()) == ([1, 3], [0.2, 0.6])


def test_the_slider_and_the_other_settings_stand_beside_the_line() -> None:
    figure = recall_size_figure(recall_size_data(THIS, [OTHER], (1.5e6, 0.3), 50), False)
    named = traces(figure)
    assert named["this"].y.tolist() == [0.1, 0.5]
    assert named["this"].line.width > named["other"].line.width
    assert (named["now"].x.tolist(), named["now"].y.tolist()) == ([1.5], [0.3])
    assert figure.layout.yaxis.title.text == "Recall@50"


@pytest.mark.parametrize("dark", [False, True])
def test_every_colour_is_one_models_and_sparcodes_runs_differ_by_dash(dark: bool) -> None:
    ours = [trade_off(name, np.array([1e6, 2e6]), np.array([0.1, 0.5])) for name in "abcde"]
    peers = tuple(Peer(peer.name, peer.name, 1e6, 0.1) for peer in ROSTER if peer.name not in (SPARCODE, TWO_TOWER))
    drawn = traces(recall_size_figure(recall_size_data(ours[0], ours[1:], None, 50, peers=peers), dark))
    lines = [drawn[line.label].line for line in ours]
    assert len({line.dash for line in lines}) == len(ours)
    colours = {line.color for line in lines} | {drawn[peer.label].marker.color for peer in peers}
    assert len(colours) == 1 + len(peers)


def test_of_the_others_the_last_ones_with_points_and_another_name_are_shown() -> None:
    empty = TradeOff("empty", NOTHING, NOTHING)
    others = [trade_off(str(number), np.ones(1), np.ones(1)) for number in range(MOST_OTHERS + 2)]
    data = recall_size_data(others[0], [*others, empty], None, 50)
    assert [line.label for line in data.others] == [str(number) for number in range(2, MOST_OTHERS + 2)]


def test_the_curve_is_in_order_of_the_threshold_with_the_slider_on_it() -> None:
    figure = threshold_curve_figure(curve(), False)
    recall, ndcg = traces(figure)["Recall@50"], traces(figure)["NDCG@50"]
    assert recall.x.tolist() == [50, 10, 1]
    assert recall.y.tolist() == [0.6, 0.5, 0.2]
    assert ndcg.y.tolist() == [0.4, 0.3, 0.1]
    assert recall.customdata.tolist() == [0.1, 0.2, 0.3]
    marks = [(trace.x.tolist(), trace.y.tolist()) for trace in figure.data if trace.mode == "markers"]
    assert marks == [([10], [0.5]), ([10], [0.3])]
    assert figure.layout.shapes[0].y0 == 0.7


def test_ticks_name_the_threshold_only_next_to_a_measured_point() -> None:
    figure = threshold_curve_figure(threshold_curve_data((TAU, np.array([0.01, 0.5, 0.2]), RECALL, NDCG), None, None, 50), False)
    assert figure.layout.xaxis.ticktext == ("0.2 %", "1 %<br>τ 0.3", "5 %", "20 %<br>τ 0.2")
    assert not figure.layout.shapes


def test_an_empty_index_has_no_place_on_the_curve() -> None:
    data = threshold_curve_data((TAU, np.array([0.0, 0.5, 0.1]), RECALL, NDCG), (0.0, 0.0, 0.0), None, 50)
    assert data.percent_kept.tolist() == [50, 10]
    assert data.current is None


def test_a_training_run_has_a_panel_for_every_value_it_has() -> None:
    coded = [record(0, math.nan, 0.3, 20), record(1, 5.0, 0.4, 22), record(2, 4.5, 0.45, 25)]
    figure = training_curve_figure(training_curve_data("Fine-tuning", coded), False)
    assert notes(figure) == ["validation Recall@50", "loss", "perplexity"]
    recall, loss, perplexity = figure.data
    assert recall.x.tolist() == [0, 1, 2]
    assert recall.y.tolist() == [0.3, 0.4, 0.45]
    assert loss.y.tolist()[1:] == [5.0, 4.5]
    assert math.isnan(loss.y[0])
    assert perplexity.y.tolist() == [20, 22, 25]
    domains = [figure.layout[axis].domain for axis in ("yaxis", "yaxis2", "yaxis3")]
    assert all(low >= other_high for (low, _), (_, other_high) in pairwise(domains))


def test_a_model_without_codes_has_no_perplexity() -> None:
    figure = training_curve_figure(training_curve_data("Training", [record(1, 5.0, 0.4), record(2, 4.0, 0.5)]), True)
    assert notes(figure) == ["validation Recall@50", "loss"]
    assert len(figure.data) == 2
