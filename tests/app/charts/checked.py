"""Every chart's figure function, its figure checked property by property by Plotly's own classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import plotly.graph_objects as go

from app.charts import (
    code_usage,
    codes_stored,
    epoch_lines,
    history_lengths,
    list_lengths,
    memory_parts,
    recall_latency,
    recall_size,
    score_cut,
    serving_points,
    setting_front,
    threshold_curve,
    training_curve,
    usage_frames,
)
from app.charts.frame import Figure

Data = TypeVar("Data")


def checked(figure: Figure) -> go.Figure:
    """The same figure; ValueError for a property that Plotly does not know, or that the browser could not read."""
    figure.to_json()
    return go.Figure({"data": figure.data, "layout": figure.layout})


def _checked(make: Callable[[Data, bool], Figure]) -> Callable[[Data, bool], go.Figure]:
    return lambda data, dark: checked(make(data, dark))


code_usage_figure = _checked(code_usage.code_usage_figure)
codes_stored_figure = _checked(codes_stored.codes_stored_figure)
epoch_lines_figure = _checked(epoch_lines.epoch_lines_figure)
history_lengths_figure = _checked(history_lengths.history_lengths_figure)
list_lengths_figure = _checked(list_lengths.list_lengths_figure)
memory_parts_figure = _checked(memory_parts.memory_parts_figure)
recall_latency_figure = _checked(recall_latency.recall_latency_figure)
recall_size_figure = _checked(recall_size.recall_size_figure)
score_cut_figure = _checked(score_cut.score_cut_figure)
serving_points_figure = _checked(serving_points.serving_points_figure)
setting_front_figure = _checked(setting_front.setting_front_figure)
threshold_curve_figure = _checked(threshold_curve.threshold_curve_figure)
training_curve_figure = _checked(training_curve.training_curve_figure)
usage_frames_figure = _checked(usage_frames.usage_frames_figure)
