"""Chart of codeword use by epoch: one figure, and the heights of its lines in every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from app.charts.code_usage import RANK_COLUMN, USE_COLUMN, USE_HOVER
from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.charts.run_lines import NO_CODES, stage_points
from app.theme import TEXT_DARK, TEXT_LIGHT, series_style
from app.training.run import JOINT, EpochPoint

TITLE: Final = "Use of codewords, epoch by epoch"
# More epochs than this are thinned out, because every frame is sent to the browser.
MAX_FRAMES: Final = 40


class UsageFrame(NamedTuple):
    """One epoch: its label, and (M, W) float32 use of codewords, most used first."""

    label: str
    use: np.ndarray


class UsageFramesData(NamedTuple):
    """What all frames share: `last` (M, W) float32 is the newest epoch, without rows before the first one.

    `ranks` (W,) float64 are the points' places among the K codewords, `highest` is the highest use in any frame.
    """

    last: np.ndarray
    ranks: np.ndarray
    highest: float


def usage_frames(points: Sequence[EpochPoint]) -> tuple[UsageFrame, ...]:
    """Frames of SparCode's epochs, evenly thinned to `MAX_FRAMES`, the first and the last among them."""
    coded = [point for point in stage_points(points, JOINT) if point.usage is not None]
    if len(coded) > MAX_FRAMES:
        coded = [coded[position] for position in np.linspace(0, len(coded) - 1, MAX_FRAMES).round().astype(int)]
    return tuple(UsageFrame(_label(point), point.usage) for point in coded)


def usage_frames_data(frames: Sequence[UsageFrame], codebook_size: int) -> UsageFramesData:
    """What all `usage_frames` share."""
    if not frames:
        return UsageFramesData(np.zeros((0, 0), dtype=np.float32), np.zeros(0), 0.0)
    last = frames[-1].use
    ranks = np.linspace(1, codebook_size, last.shape[1]).round()
    return UsageFramesData(last, ranks, max(float(frame.use.max()) for frame in frames))


def usage_frames_figure(data: UsageFramesData, dark: bool) -> Figure:
    """One stepped line per codebook at the newest epoch, on axes that fit every epoch; the dotted line is even use."""
    figure = titled_figure(TITLE, "codewords, most used first", "use (1 = even)", dark)
    if len(data.last) == 0:
        return with_note(figure, NO_CODES)
    for book, use in enumerate(data.last):
        style = series_style(book, dark)
        figure.add_scatter(
            x=data.ranks,
            y=np.ascontiguousarray(use),
            name=f"codebook {book + 1}",
            mode="lines",
            line={**style["line"], "shape": "hvh", "width": 2.5},
            hovertemplate=f"{USE_HOVER}<extra>%{{fullData.name}}</extra>",
        )
    figure.add_level(1, {"dash": "dot", "width": 1.5, "color": TEXT_DARK if dark else TEXT_LIGHT})
    figure.y.update(range=[0, 1.05 * max(data.highest, 1.0)])
    figure.layout.update(showlegend=True)
    name_columns(figure, x=RANK_COLUMN, y=USE_COLUMN)
    return figure


def _label(point: EpochPoint) -> str:
    name = "after k-means" if point.epoch == 0 else f"epoch {point.epoch}"
    return f"{name}: perplexity {point.perplexity:.1f}, {point.dead_share:.1%} unused"
