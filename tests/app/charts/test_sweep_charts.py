from __future__ import annotations

import numpy as np
import pytest

from app.charts.parallel_trials import parallel_trials_data, parallel_trials_figure
from app.charts.setting_shares import setting_shares_data, setting_shares_figure
from app.charts.setting_slice import setting_slice_data, setting_slice_figure
from app.charts.sweep_front import FRONTS, sweep_front_data, sweep_front_figure
from sparcode.sweep.answer import front, points_of
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.space import parse_space
from tests.app.charts.checked import checked
from tests.sweep.planted import definition, planted_record

SPACE = parse_space(["codebook_size=16,64,128", "n_nearest=1..4", "joint_learning_rate=0.001..0.1 log"])
RATES = (0.001, 0.01, 0.1)
TRIALS = [
    planted_record(number, {"quantizer.codebook_size": size, "quantizer.n_nearest": nearest, "training.joint_learning_rate": rate})
    for number, (size, nearest, rate) in enumerate(zip((16, 64, 128), (1, 4, 2), RATES, strict=True))
]
DEFINITION = definition()
PRUNED = TrialRecord(number=9, state="pruned", params=TRIALS[0].params)


@pytest.mark.parametrize("by", FRONTS)
@pytest.mark.parametrize("dark", [False, True])
def test_the_front_is_that_of_the_library_and_the_answer_is_marked(by: str, dark: bool) -> None:
    data = sweep_front_data(DEFINITION, TRIALS, by, chosen=1)
    points = points_of(TRIALS)
    assert len(data.cost) == len(points) == 9
    found = {(points[at].trial, points[at].place) for at in data.front.tolist()}
    assert found == {(point.trial, point.place) for point in front(points, FRONTS[by])}
    assert (np.diff(data.cost[data.front]) >= 0).all()
    figure = checked(sweep_front_figure(data, dark))
    traces = {trace.name: trace for trace in figure.data}
    assert {"points", "Pareto front", "trial 1", "the answer"} == set(traces)
    assert list(traces["points"].customdata) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(traces["trial 1"].x) == 3
    answer = traces["the answer"]
    assert (answer.y[0], list(answer.customdata)) == (pytest.approx(0.66 * 0.995), [2])
    assert (traces["points"].marker.colorscale is not None) == (by == "both")


def test_titles_say_what_most_of_the_recall_costs() -> None:
    # 0.995 of the recall of K = 128 at half its bytes; 0.62 * 0.995 of K = 64, P = 4 is below 95% of 0.66.
    assert sweep_front_data(DEFINITION, TRIALS, "size", None).title == "95% of the best recall takes 0.0064 MB, all of it 0.0128 MB"
    both = sweep_front_data(DEFINITION, TRIALS, "both", None).title
    assert both.endswith("points are beaten by no other in recall, size and time together")


def test_without_a_complete_trial_every_chart_says_so() -> None:
    none = [PRUNED]
    for figure in (
        sweep_front_figure(sweep_front_data(DEFINITION, none, "size", None), False),
        parallel_trials_figure(parallel_trials_data(SPACE, none, None, None), False),
        setting_slice_figure(setting_slice_data(SPACE, none, "quantizer.n_nearest", "recall", None, None), False),
    ):
        assert checked(figure).layout.annotations[0].text == "No trial is complete yet"
    assert checked(setting_shares_figure(setting_shares_data({}, "recall", "why"), False)).layout.annotations[0].text == "why"


@pytest.mark.parametrize("dark", [False, True])
def test_every_trial_crosses_every_axis_where_its_value_is(dark: bool) -> None:
    data = parallel_trials_data(SPACE, [*TRIALS, PRUNED], None, chosen=1)
    heights = {axis.name: axis.heights.tolist() for axis in data.axes}
    assert heights["K"] == [0, 0.5, 1]
    assert heights["P"] == pytest.approx([0, 1, 1 / 3])
    assert heights["joint learning rate"] == pytest.approx([0, 0.5, 1])
    assert heights["recall"] == pytest.approx([0, (0.62 - 0.5) / (0.66 - 0.5), 1])
    assert [axis.name for axis in data.axes][-3:] == ["size (MB)", "time (ms)", "recall"]
    figure = checked(parallel_trials_figure(data, dark))
    lines = {trace.name: trace for trace in figure.data}
    assert set(lines) == {"trial 0", "trial 1", "trial 2"}
    assert set(lines["trial 1"].customdata) == {1}
    assert lines["trial 1"].line.color != lines["trial 2"].line.color != lines["trial 0"].line.color
    assert lines["trial 2"].line.width > lines["trial 0"].line.width
    assert data.title.startswith("Most is found with K=128, P=2, joint learning rate 0.1: recall 0.660")


def test_a_budget_moves_a_trial_to_what_fits() -> None:
    within = parallel_trials_data(SPACE, TRIALS, 3_300, None)
    np.testing.assert_allclose(within.recall, [0.5, 0.62 * 0.995, 0.66 * 0.9])
    front = sweep_front_data(definition(max_bytes=3_300), TRIALS, "size", None)
    # Half the scores of K = 64; the star would stand at 0.0064 MB without a budget.
    assert (front.cost[front.answer], front.recall[front.answer]) == (pytest.approx(0.0032), pytest.approx(0.62 * 0.995))


@pytest.mark.parametrize("dark", [False, True])
def test_bars_show_the_most_important_setting_on_top(dark: bool) -> None:
    data = setting_shares_data({"quantizer.n_nearest": 0.25, "quantizer.codebook_size": 0.75}, "recall")
    (bars,) = checked(setting_shares_figure(data, dark)).data
    assert (list(bars.y), bars.x.tolist()) == (["codes per token P", "codebook size K"], [0.25, 0.75])
    assert bars.orientation == "h"
    assert data.title == "codebook size K explains about 75% of the differences in recall"


@pytest.mark.parametrize("dark", [False, True])
def test_a_slice_has_a_place_for_every_value_and_the_mean_of_each(dark: bool) -> None:
    more = [*TRIALS, planted_record(3, TRIALS[2].params | {"quantizer.n_nearest": 4})]
    data = setting_slice_data(SPACE, more, "quantizer.codebook_size", "recall", None, chosen=3)
    assert data.categories == ("16", "64", "128")
    np.testing.assert_allclose(data.means, [0.5, 0.62, (0.66 + 0.67) / 2])
    figure = checked(setting_slice_figure(data, dark))
    mean, trials, chosen = figure.data
    assert (mean.name, list(trials.customdata), list(chosen.customdata)) == ("mean", [0, 1, 2], [3])
    assert list(figure.layout.xaxis.ticktext) == ["16", "64", "128"]
    assert data.title == "Of the trials drawn, those with K=128 have the most recall on average: 0.665"


def test_a_slice_over_a_range_has_its_own_axis() -> None:
    data = setting_slice_data(SPACE, TRIALS, "training.joint_learning_rate", "size_bytes", None, None)
    figure = checked(setting_slice_figure(data, False))
    assert figure.layout.xaxis.type == "log"
    np.testing.assert_allclose(figure.data[0].x, RATES)
    np.testing.assert_allclose(figure.data[0].y, [0.0016, 0.0064, 0.0128])
    assert data.title == "The least index size, 0.0016, is at joint learning rate 0.001"
