"""A sweep from its first trial to its last: begun, gone on with, cancelled; trials run at once on an executor."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from pathlib import Path
from typing import Final, Literal, NamedTuple

from sparcode.sweep.definition import Definition, read_definition
from sparcode.sweep.events import Event, EventReader
from sparcode.sweep.executors import Executor
from sparcode.sweep.journal import Journal
from sparcode.sweep.record import TrialRecord, read_record, write_record
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.session import Heartbeat, current, session
from sparcode.sweep.space import Value

_LOOK_SECONDS: Final = 0.2
# A worker may lose sight of the folder for a moment.
_MOST_ATTEMPTS: Final = 3

Ended = Literal["complete", "stopped", "out of time"]


class Listener:
    """Is told what happens; subclasses do something about it. Called in the thread that runs the sweep."""

    def on_started(self, number: int, params: Mapping[str, Value]) -> None:
        """A trial has started."""

    def on_event(self, number: int, event: Event) -> None:
        """A trial has come so far."""

    def on_finished(self, record: TrialRecord, n_finished: int, seconds_left: float) -> None:
        """A trial has finished, the `n_finished`-th; `seconds_left` is an estimate for the others."""


class _Running(NamedTuple):
    number: int
    params: dict[str, Value]
    events: EventReader


def run_sweep(
    folder: Path,
    executor: Executor,
    listener: Listener | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    max_seconds: float = float("inf"),
    device: str = "auto",
) -> Ended:
    """Run the trials of a sweep that are not finished yet, those that an earlier process had begun first.

    The executor is closed at the end, whatever happens. Stopped, or out of time, trials under way are abandoned; the sweep goes on with
    them when it is run again.

    Parameters
    ----------
    folder
        As made by `sparcode.sweep.folder.create`.
    should_stop
        Asked several times a second.
    max_seconds
        Time for all trials.

    Raises
    ------
    ValueError
        If another process runs this sweep, its folder is damaged, or workers cannot use it or its data.
    """
    folder = folder.absolute()
    try:
        definition = read_definition(folder)
        with session(folder) as word:
            run = _Run(folder, definition, word, executor, listener or Listener(), device)
            return run.until(should_stop, time.monotonic() + max_seconds)
    finally:
        executor.close()


class _Run:
    """One process's part of a sweep."""

    def __init__(self, folder: Path, definition: Definition, word: str, executor: Executor, listener: Listener, device: str) -> None:
        self._folder, self._definition, self._word, self._executor = folder, definition, word, executor
        self._listener, self._device = listener, device
        self._journal = Journal(folder, definition)
        self._running: dict[Future[bool], _Running] = {}
        self._attempts: Counter[int] = Counter()
        self._began, self._n_finished_here = time.monotonic(), 0
        # Half written by processes that were killed.
        for leftover in folder.glob("*/*.new"):
            leftover.unlink(missing_ok=True)
        self._again = self._settle()

    def until(self, should_stop: Callable[[], bool], deadline: float) -> Ended:
        """Run trials to the end, or to one of these."""
        heart = Heartbeat(self._folder)
        while True:
            heart.beat()
            if should_stop() or current(self._folder) != self._word:
                return "stopped"
            if time.monotonic() >= deadline:
                return "out of time"
            self._fill()
            if not self._running:
                return "complete"
            done, _ = wait(self._running, _LOOK_SECONDS, FIRST_COMPLETED)
            for running in self._running.values():
                self._tell(running)
            for future in done:
                self._finish(future, self._running.pop(future))

    def _settle(self) -> list[tuple[int, dict[str, Value]]]:
        """Enter the trials that finished just before their process was killed; the others that it had begun, to be run again."""
        again = []
        for number, params in self._journal.unfinished().items():
            record = read_record(self._folder, number)
            if record is None:
                again.append((number, params))
            else:
                self._journal.finish(record)
        return again

    def _fill(self) -> None:
        """Start trials while workers are free."""
        while len(self._running) < self._executor.n_workers:
            if (trial := self._again.pop(0) if self._again else self._journal.begin()) is None:
                return
            number, params = trial
            request = TrialRequest(
                str(self._folder), number, params, self._word, self._definition.identity, self._executor.threads, self._device
            )
            self._listener.on_started(number, params)
            self._running[self._executor.submit(request)] = _Running(number, params, EventReader(self._folder, number))

    def _tell(self, running: _Running) -> None:
        for event in running.events.new():
            if event.session == self._word:
                self._listener.on_event(running.number, event)

    def _finish(self, future: Future[bool], trial: _Running) -> None:
        try:
            future.result()
        except CancelledError as error:
            raise RuntimeError("the connection to the cluster was lost") from error
        except ValueError:
            # No trial can run.
            raise
        except Exception as error:  # such as WorkerDied; the other trials go on
            write_record(self._folder, TrialRecord(number=trial.number, state="failed", params=trial.params, error=str(error)))
        record = read_record(self._folder, trial.number)
        if record is None:
            # The session is over, which is looked at next, or was out of sight.
            self._attempts[trial.number] += 1
            if self._attempts[trial.number] >= _MOST_ATTEMPTS:
                raise RuntimeError(f"a worker does not see {self._folder} as this process does; it must be one folder for all")
            self._again.append((trial.number, trial.params))
            return
        self._journal.finish(record)
        self._n_finished_here += 1
        n_left = self._definition.n_trials - self._journal.n_trials + len(self._running) + len(self._again)
        each = (time.monotonic() - self._began) / self._n_finished_here
        self._listener.on_finished(record, self._journal.n_trials - len(self._running) - len(self._again), n_left * each)
