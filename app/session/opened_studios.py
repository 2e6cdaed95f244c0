"""The studios of one process: the first one, and those of other data and of kept runs, opened when a page asks for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

from app.kept.comparable import ComparableRuns
from app.kept.measured_runs import MeasuredRuns
from app.kept.runs import KeptRuns
from app.kept.sweep_jobs import SweepJobs
from app.kept.sweeps import KeptSweeps
from app.report.store import Reports
from app.studio import Place, Studio
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions

# Beside the first; the least recently used one without work under way is closed for another.
MOST_OPENED: Final = 4


class OpenedStudios:
    """The first studio, the kept runs, figures of runs, sweeps, the visitors' reports, and the studios opened beside it. Safe to share
    between threads.

    `config_of` gives the settings for synthetic or other data; `sweeps_folder` of None: there are no sweeps but the recorded one.
    """

    def __init__(self, first: Studio, kept: KeptRuns, config_of: Callable[[bool], RunConfig], sweeps_folder: Path | None = None) -> None:
        self.first, self.kept, self._config_of, self._sweeps_folder = first, kept, config_of, sweeps_folder
        self.reports = Reports()
        self._lock = threading.Lock()
        self._opened: OrderedDict[str, Studio] = OrderedDict()
        self._opening: dict[str, threading.Lock] = {}

    @cached_property
    def runs(self) -> MeasuredRuns:
        """The runs that can be compared, and the figures of those that were."""
        return MeasuredRuns(
            self.first.jobs, ComparableRuns(self.kept.folder, self.first.interactions, self.first.recorded), self.first.at_work
        )

    @cached_property
    def sweeps(self) -> SweepJobs:
        """The sweeps and the work on them."""
        return SweepJobs(self.first.jobs, KeptSweeps(self._sweeps_folder))

    def of_run(self, name: str) -> Studio:
        """The studio of a kept run, opened if need be; errors as for `KeptRuns.open` and `of_data`."""

        def opened(place: Place) -> Studio:
            run = self.kept.open(name)
            return Studio(run.interactions, run.run.config, run.models, place)

        # Another run may have come under this name, also from another process.
        return self._get(f"{_scope(name)}{self.kept.stamp(name)}", opened)

    def of_data(self, scope: str, read: Callable[[], Interactions], private: bool = False) -> Studio:
        """The studio of other data, read if it is not open; `scope` is of this data alone, `private` as for `Place`.

        Errors as `read` raises them; ValueError if as many as may be are open and work goes on for all of them.
        """

        def opened(place: Place) -> Studio:
            data = read()
            return Studio(data, self._config_of(data.synthetic), None, place._replace(private=private))

        return self._get(scope, opened)

    def at_hand(self, prefix: str) -> Studio | None:
        """The studio used last of those that are open and whose scope begins so; None if there is none. Opens nothing."""
        with self._lock:
            return next((studio for scope, studio in reversed(self._opened.items()) if scope.startswith(prefix)), None)

    def open_beside(self) -> list[Studio]:
        """The studios that are open beside the first, the least recently used one first."""
        with self._lock:
            return list(self._opened.values())

    def close_all_of(self, prefix: str) -> None:
        """Close the studios whose scope begins so."""
        with self._lock:
            closed = [self._opened.pop(scope) for scope in list(self._opened) if scope.startswith(prefix)]
        for studio in closed:
            studio.close()

    def delete_run(self, name: str) -> None:
        """Remove a kept run and stop what goes on for it; errors as for `KeptRuns.delete`."""
        self.kept.delete(name)
        self.close_all_of(_scope(name))

    def close(self) -> None:
        """Stop all jobs of all studios."""
        with self._lock:
            opened = list(self._opened.values())
            self._opened.clear()
        for studio in (*opened, self.first):
            studio.close()

    def _get(self, scope: str, make: Callable[[Place], Studio]) -> Studio:
        while True:
            with self._lock:
                if scope in self._opened:
                    self._opened.move_to_end(scope)
                    return self._opened[scope]
                mine = self._opening.setdefault(scope, threading.Lock())
            # Others open theirs meanwhile; who wants the same one waits for it.
            with mine:
                with self._lock:
                    if self._opening.get(scope) is not mine:
                        # It was opened, or could not be, while this one waited: two at once would share the names of their jobs.
                        continue
                try:
                    # Not read in vain.
                    self._make_room()
                    made = make(Place(scope, self.first))
                    self._make_room()
                    with self._lock:
                        self._opened[scope] = made
                    return made
                finally:
                    with self._lock:
                        del self._opening[scope]

    def _make_room(self) -> None:
        """Close the least recently used studios without work under way, so that there is room for one; ValueError if there are too few."""
        with self._lock:
            over = len(self._opened) + 1 - MOST_OPENED
            idle = [scope for scope, studio in self._opened.items() if not studio.is_busy][: max(over, 0)]
            if len(idle) < over:
                raise ValueError(
                    f"{len(self._opened)} other data sets or runs are open, the most there may be, and work goes on for each of them; "
                    "try again once one is finished"
                )
            closed = [self._opened.pop(scope) for scope in idle]
        for studio in closed:
            studio.close()


def _scope(name: str) -> str:
    return f"run.{name}."
