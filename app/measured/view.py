"""What there is to show for one setting, as the studio hands it to a page."""

from __future__ import annotations

from typing import NamedTuple

from app.jobs.snapshot import JobSnapshot
from app.measured.measured_index import MeasuredIndex
from sparcode.config import RunConfig


class View(NamedTuple):
    """What there is to show for one setting, and what is under way.

    Attributes
    ----------
    config
        The setting.
    stage
        The best one known; None before the first figures.
    preview
        The preview's stage, for comparison; None if it is not known (any more).
    waiting
        The job that first figures, or the rest of them, wait for; None if there is none.
    tuning
        The fine-tuning job of this setting; None if there never was one.
    active
        Whether anything shown may still change by itself.
    """

    config: RunConfig
    stage: MeasuredIndex | None
    preview: MeasuredIndex | None
    waiting: JobSnapshot | None
    tuning: JobSnapshot | None
    active: bool
