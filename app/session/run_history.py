"""The configurations a visitor looked at: undo, redo, a table with their figures, and the pinned one."""

from __future__ import annotations

from typing import Final, NamedTuple

from app.measured.figures import Figures, figures_of
from app.measured.measured_index import MeasuredIndex
from app.session.configuration import Configuration
from sparcode.metrics.evaluation import ExplorerPoint

MOST_RUNS: Final = 60
MOST_STEPS: Final = 200


class Run(NamedTuple):
    """One row of the history; figures are None before they are measured."""

    number: int
    configuration: Configuration
    figures: Figures | None


class RunHistory:
    """The undoable steps and the runs of one visitor, so not shared between threads."""

    def __init__(self) -> None:
        self._back: list[Configuration] = []
        self._forward: list[Configuration] = []
        self._runs: dict[Configuration, Run] = {}
        self._next = 1

    @property
    def current(self) -> Configuration | None:
        """The current configuration; None before the first."""
        return self._back[-1] if self._back else None

    @property
    def runs(self) -> tuple[Run, ...]:
        """The last `MOST_RUNS` runs, in the order they were first looked at."""
        return tuple(self._runs.values())

    def visit(self, configuration: Configuration) -> None:
        """Note the configuration looked at now. A new step clears the redo steps; the same configuration again is no step."""
        if configuration != self.current:
            self._back = [*self._back, configuration][-MOST_STEPS:]
            self._forward.clear()
        if configuration not in self._runs:
            self._runs[configuration] = Run(self._next, configuration, None)
            self._next += 1
            while len(self._runs) > MOST_RUNS:
                del self._runs[next(iter(self._runs))]

    def record(self, configuration: Configuration, figures: Figures) -> None:
        """Set the figures of a configuration that was looked at."""
        if configuration in self._runs:
            self._runs[configuration] = self._runs[configuration]._replace(figures=figures)

    def can_undo(self) -> bool:
        """Whether there is an earlier step."""
        return len(self._back) > 1

    def can_redo(self) -> bool:
        """Whether a step was undone and nothing else done since."""
        return bool(self._forward)

    def undo(self) -> Configuration | None:
        """Take the last step back, and return the configuration to show; None if there is no earlier one."""
        if not self.can_undo():
            return None
        self._forward.append(self._back.pop())
        return self._back[-1]

    def redo(self) -> Configuration | None:
        """Repeat the last undone step, and return the configuration to show; None if there is none."""
        if not self._forward:
            return None
        self._back.append(self._forward.pop())
        return self._back[-1]

    def numbered(self, number: int) -> Configuration | None:
        """The configuration of a run; None if there is no such run (any more)."""
        return next((run.configuration for run in self._runs.values() if run.number == number), None)


class PinnedRun(NamedTuple):
    """A pinned configuration with its measured index, and the figures at its threshold for charts and for deltas."""

    configuration: Configuration
    measured: MeasuredIndex
    point: ExplorerPoint
    figures: Figures


def pinned_run(configuration: Configuration, measured: MeasuredIndex | None) -> PinnedRun | None:
    """A pinned run, once its whole index is measured; None before."""
    if measured is None or not measured.complete:
        return None
    return PinnedRun(configuration, measured, measured.point(configuration.stop), figures_of(measured, configuration.stop))
