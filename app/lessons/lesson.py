"""One lesson: its goal, its control, the prediction asked for, the experiment, and how its figures are read and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.lessons.bench import Bench
from app.lessons.prediction import Prediction
from app.lessons.reading import Reading, Rows


class Control(NamedTuple):
    """The one thing that a lesson lets a learner vary.

    `options` are value -> words; the first is the default.
    """

    label: str
    options: Mapping[str, str]
    help: str

    @property
    def default(self) -> str:
        """The value without a choice."""
        return next(iter(self.options))


class Picture(NamedTuple):
    """A chart of a result.

    Attributes
    ----------
    kind
        "bars" (one per row), "stacked" (a bar per row, made of several figures) or "lines" (one per name, over the figure `x`).
    figures
        Figure -> words; more than one for "stacked" alone.
    y_title
        With the unit.
    x, x_title
        Of lines.
    scale, x_scale
        Factors on the values of both axes, such as 100 for percent.
    log_x, log_y
        Whether an axis is logarithmic.
    rows
        Names of the rows that are drawn; empty for all.
    """

    title: str
    kind: Literal["bars", "stacked", "lines"]
    figures: Mapping[str, str]
    y_title: str
    x: str = ""
    x_title: str = ""
    scale: float = 1.0
    log_x: bool = False
    log_y: bool = False
    x_scale: float = 1.0
    rows: tuple[str, ...] = ()


class Column(NamedTuple):
    """A column of a result's table: heading and format of a figure; rows without it are left empty."""

    heading: str
    number_format: str
    scale: float = 1.0


class WayOn(NamedTuple):
    """What to try next: a page of the studio, and settings there by their names in the address."""

    label: str
    page: str
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Lesson:
    """One row of the table of lessons.

    Attributes
    ----------
    number
        From 1 on, as in the address.
    goal
        One sentence.
    experiment
        Takes the bench and a value of the control; the figures measured.
    read
        What the figures say of each claim; the first headline is the lesson's answer.
    measured
        What is done, in a sentence or two, for the page.
    columns
        Figure -> column of the table.
    version
        Raised when the experiment changes, so that earlier recordings are not shown.
    """

    number: int
    title: str
    question: str
    goal: str
    control: Control
    prediction: Prediction
    experiment: Callable[[Bench, str], Rows]
    read: Callable[[Rows], tuple[Reading, ...]]
    measured: str
    pictures: tuple[Picture, ...]
    columns: Mapping[str, Column]
    ways_on: tuple[WayOn, ...]
    version: int = 1
