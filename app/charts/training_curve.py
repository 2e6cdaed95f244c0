"""Chart of a training run by epoch: loss, validation recall and, for models with codes, perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.charts.frame import PINNED, Figure, name_columns, pinned_line, titled_figure, with_note
from app.theme import GRID_DARK, GRID_LIGHT, series_style
from sparcode.config import DEFAULT_K
from sparcode.training.epoch_record import EpochRecord


class TrainingCurveData(NamedTuple):
    """One run: epochs (n,) int64; loss, recall, perplexity (n,) float64, NaN where there is no value.

    `pinned` is validation recall of the pinned run, (m,) float64 from its first epoch on; None if there is none.
    """

    title: str
    epochs: np.ndarray
    loss: np.ndarray
    recall: np.ndarray
    perplexity: np.ndarray
    pinned: np.ndarray | None = None


def training_curve_data(title: str, records: Sequence[EpochRecord], pinned: Sequence[EpochRecord] | None = None) -> TrainingCurveData:
    """Columns from records in order of epochs, which may be empty."""
    columns = [np.array([getattr(row, name) for row in records], dtype=np.float64) for name in ("loss", "recall", "perplexity")]
    ghost = np.array([row.recall for row in pinned], dtype=np.float64) if pinned else None
    return TrainingCurveData(title, np.array([row.epoch for row in records], dtype=np.int64), *columns, ghost)


def training_curve_figure(data: TrainingCurveData, dark: bool) -> Figure:
    """Up to three panels above each other over the same epochs; without epochs the figure says so."""
    figure = titled_figure(data.title, "epoch", "", dark)
    if len(data.epochs) == 0:
        return with_note(figure, "Waiting for the first epoch ...")
    recall = f"validation Recall@{DEFAULT_K}"
    named = ((recall, data.recall), ("loss", data.loss), ("perplexity", data.perplexity))
    panels = [(name, values) for name, values in named if np.isfinite(values).any()]
    height = 0.94 / len(panels)
    if data.pinned is not None:
        hover = f"pinned, epoch %{{x}}<br>{recall} %{{y:.4g}}<extra></extra>"
        name = f"{recall}, {PINNED}"
        steps = np.arange(len(data.pinned)) + data.epochs[0]
        figure.add_scatter(x=steps, y=data.pinned, name=name, mode="lines", line=pinned_line(dark), showlegend=False, hovertemplate=hover)
    grid = GRID_DARK if dark else GRID_LIGHT
    for position, (name, values) in enumerate(panels):
        style = series_style(position, dark)
        axis = "y" if position == 0 else f"y{position + 1}"
        figure.add_scatter(
            x=data.epochs,
            y=values,
            yaxis=axis,
            name=name,
            mode="lines+markers",
            line={**style["line"], "width": 2.5},
            marker={**style["marker"], "size": 6},
            showlegend=False,
            hovertemplate=f"epoch %{{x}}<br>{name} %{{y:.4g}}<extra></extra>",
        )
        top = 0.94 - position * height
        domain = [max(0.0, top - height + 0.11), top]
        panel = {"domain": domain, "gridcolor": grid, "nticks": 3, "anchor": "x", "automargin": True}
        figure.layout.setdefault(f"yaxis{'' if position == 0 else position + 1}", {}).update(panel)
        # A rotated axis title would not fit beside a low panel.
        place = {"x": 0, "xanchor": "left", "xref": "paper", "y": top, "yanchor": "bottom", "yref": "paper"}
        figure.add_annotation(name, **place)
    figure.layout["margin"]["t"] = 56
    name_columns(figure, y="value")
    figure.x.update(anchor="y" if len(panels) == 1 else f"y{len(panels)}", rangemode="tozero")
    return figure
