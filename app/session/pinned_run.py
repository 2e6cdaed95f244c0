"""The run that everything on the page is held against."""

from __future__ import annotations

from typing import NamedTuple

from app.measured.figures import Figures, figures_of
from app.measured.measured_index import MeasuredIndex
from app.session.configuration import Configuration
from sparcode.metrics.evaluation import ExplorerPoint


class PinnedRun(NamedTuple):
    """A pinned configuration with its measured index.

    Attributes
    ----------
    configuration
        What was pinned.
    stage
        Its best index in memory.
    point
        Figures at its threshold.
    figures
        The same as deltas take them.
    """

    configuration: Configuration
    stage: MeasuredIndex
    point: ExplorerPoint
    figures: Figures


def pinned_run(configuration: Configuration, stage: MeasuredIndex | None) -> PinnedRun | None:
    """A pinned run, once its whole index is measured; None before."""
    if stage is None or not stage.complete:
        return None
    return PinnedRun(configuration, stage, stage.point(configuration.stop), figures_of(stage, configuration.stop))
