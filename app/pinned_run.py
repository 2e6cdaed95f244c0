"""The run that everything on the page is held against."""

from __future__ import annotations

from typing import NamedTuple

from app.configuration import Configuration
from app.run_history import Figures, figures_of
from app.stage import Stage
from sparcode.evaluation import ExplorerPoint


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
    stage: Stage
    point: ExplorerPoint
    figures: Figures


def pinned_run(configuration: Configuration, stage: Stage | None) -> PinnedRun | None:
    """A pinned run, once its whole index is measured; None before."""
    if stage is None or not stage.complete:
        return None
    return PinnedRun(configuration, stage, stage.point(configuration.stop), figures_of(stage, configuration.stop))
