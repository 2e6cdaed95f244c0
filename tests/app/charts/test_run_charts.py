from __future__ import annotations

import math

import numpy as np
import pytest

from app.charts.epoch_lines import WAITING, EpochLinesData, epoch_line
from app.charts.run_lines import NO_CODES, Ghost, boundary_of, code_lines, loss_lines, recall_lines
from app.charts.usage_frames import MAX_FRAMES, usage_frames, usage_frames_data
from app.theme import CATEGORICAL_DARK, CATEGORICAL_LIGHT
from app.training.run import BACKBONE, JOINT, TWO_TOWER, EpochPoint
from tests.app.charts.checked import epoch_lines_figure, usage_frames_figure

NAN = math.nan


def backbone(epoch: int, recall: float, loss: float = 5.0) -> EpochPoint:
    return EpochPoint(BACKBONE, epoch, loss, NAN, recall, NAN, NAN, 0, 1.0, None)


def joint(epoch: int, recall: float, top: float = 1.5) -> EpochPoint:
    use = np.array([[top, 1.0, 0.5], [2.0, 1.0, 0.0]], dtype=np.float32)
    return EpochPoint(JOINT, epoch, NAN if epoch == 0 else 4.0, 0.7, recall, 2.5, 0.25, 9, 1.0, use)


def two_tower(epoch: int, recall: float) -> EpochPoint:
    return EpochPoint(TWO_TOWER, epoch, 6.0, NAN, recall, NAN, NAN, 0, 1.0, None)


RUN = (backbone(1, 0.1), backbone(2, 0.3), backbone(3, 0.2), joint(0, 0.15), joint(1, 0.25))


def test_epochs_of_codes_go_on_where_the_backbone_ended() -> None:
    data = recall_lines(RUN, (two_tower(1, 0.05),), ())
    lines = {line.name: line for line in data.lines}
    np.testing.assert_array_equal(lines[BACKBONE].epochs, [1, 2, 3])
    np.testing.assert_array_equal(lines[JOINT].epochs, [3, 4])
    np.testing.assert_array_equal(lines[TWO_TOWER].epochs, [1])
    assert data.boundary == boundary_of(RUN) == 3
    assert data.level == 0.3
    assert data.level_name == "best of all-to-all"


def test_before_the_codes_there_is_no_boundary_and_no_level() -> None:
    data = recall_lines(RUN[:2], (), ())
    assert data.boundary is None
    assert data.level is None
    assert boundary_of(()) is None


def test_earlier_runs_stand_behind_as_ghosts() -> None:
    data = recall_lines(RUN, (), (Ghost("run 1", "mean, mlp", (backbone(1, 0.2), joint(0, 0.1), joint(1, 0.4))),))
    ghost = data.lines[0]
    assert (ghost.name, ghost.note, ghost.look) == ("run 1", "mean, mlp", None)
    np.testing.assert_array_equal(ghost.epochs, [1, 1, 2])
    np.testing.assert_array_equal(ghost.values, [0.2, 0.1, 0.4])
    figure = epoch_lines_figure(data, False)
    assert [trace.name for trace in figure.data] == ["run 1", BACKBONE, JOINT]
    assert figure.data[0].line.color == CATEGORICAL_LIGHT[9]
    assert figure.data[0].line.width < figure.data[1].line.width


def test_a_model_keeps_its_look_in_every_chart() -> None:
    recall, loss = recall_lines(RUN, (two_tower(1, 0.1),), ()), loss_lines(RUN, (two_tower(1, 0.1),))
    looks = [{line.name: line.look for line in data.lines} for data in (recall, loss)]
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == 3


def test_epoch_0_has_no_loss() -> None:
    (line,) = [line for line in loss_lines(RUN, ()).lines if line.name == JOINT]
    np.testing.assert_array_equal(line.epochs, [4])


def test_figures_of_codes_start_with_k_means() -> None:
    data = code_lines(RUN, "dead_share", "Dead codewords", "%", 100)
    np.testing.assert_array_equal(data.lines[0].epochs, [0, 1])
    np.testing.assert_array_equal(data.lines[0].values, [25, 25])
    assert epoch_lines_figure(code_lines(RUN[:2], "perplexity", "Perplexity", ""), False).layout.annotations[0].text == NO_CODES


@pytest.mark.parametrize("dark", [False, True])
def test_the_figure_marks_where_codes_come_in_and_what_to_reach(dark: bool) -> None:
    figure = epoch_lines_figure(recall_lines(RUN, (), ()), dark)
    assert [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1] == [3]
    assert {note.text for note in figure.layout.annotations} == {"best of all-to-all 0.300", "codes from here"}
    assert figure.data[1].line.color == (CATEGORICAL_DARK if dark else CATEGORICAL_LIGHT)[0]
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.showlegend


def test_without_an_epoch_the_figure_says_so() -> None:
    figure = epoch_lines_figure(recall_lines((), (), ()), False)
    assert not figure.data
    assert figure.layout.annotations[0].text == WAITING
    assert figure.layout.title.text


def test_values_that_are_all_zero_get_an_axis_above_zero() -> None:
    line = epoch_line("a", np.arange(3), np.zeros(3), 0)
    assert epoch_lines_figure(EpochLinesData("t", "y", (line,)), False).layout.yaxis.range == (0, 1)


def test_frames_name_their_epoch_and_have_axes_in_common() -> None:
    frames = usage_frames((*RUN[:3], joint(0, 0.1, top=2.5), joint(1, 0.2)))
    assert [frame.label for frame in frames] == [
        "after k-means: perplexity 2.5, 25.0% unused",
        "epoch 1: perplexity 2.5, 25.0% unused",
    ]
    data = usage_frames_data(frames, 3)
    np.testing.assert_array_equal(data.ranks, [1, 2, 3])
    assert data.highest == 2.5
    figure = usage_frames_figure(data, False)
    np.testing.assert_array_equal(figure.data[0].y, frames[-1].use[0])
    assert figure.layout.yaxis.range[1] > 2.5


def test_long_runs_are_thinned_out_but_keep_both_ends() -> None:
    frames = usage_frames(tuple(joint(epoch, 0.1) for epoch in range(500)))
    assert len(frames) == MAX_FRAMES
    assert frames[0].label.startswith("after k-means")
    assert frames[-1].label.startswith("epoch 499")


def test_without_codes_the_usage_says_so() -> None:
    data = usage_frames_data(usage_frames(RUN[:2]), 8)
    assert usage_frames_figure(data, True).layout.annotations[0].text == NO_CODES
