"""The folder of a sweep: made whole, read at any time, also while it runs.

``sweep.json`` says what the sweep is (`sparcode.sweep.definition`), ``journal.jsonl`` is Optuna's storage, ``trials/`` has a record of each
trial, ``runs/`` a run folder of each complete one, ``backbones/`` what they share, ``data/`` the histories.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from sparcode.config import DEFAULT_K, RunConfig, SweepConfig
from sparcode.config_message import validation_message
from sparcode.index.whole_folder import clear_leftovers, refuse_link, write_whole
from sparcode.sweep.definition import Definition, read_definition, write_definition
from sparcode.sweep.events import Event, begun_numbers, last_event
from sparcode.sweep.record import RUNS, TrialRecord, finished_numbers, read_record
from sparcode.sweep.session import current, is_running
from sparcode.sweep.space import Space

if TYPE_CHECKING:
    from sparcode.data.interactions import Interactions
    from sparcode.data.loading import Source


class Sweep(NamedTuple):
    """A sweep as its folder shows it.

    Attributes
    ----------
    trials
        Those that have finished, by number.
    under_way
        Number -> latest event of the trials that a process runs now.
    is_running
        Whether a process runs the sweep now.
    """

    folder: Path
    definition: Definition
    trials: tuple[TrialRecord, ...]
    under_way: dict[int, Event]
    is_running: bool

    @property
    def complete(self) -> tuple[TrialRecord, ...]:
        """Trials with a curve."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def is_finished(self) -> bool:
        """Whether all trials have finished."""
        return len(self.trials) >= self.definition.n_trials

    def run_folder(self, number: int) -> Path:
        """The run folder of a complete trial; ValueError if the trial has none."""
        name = next((trial.run for trial in self.trials if trial.number == number), "")
        if not name:
            raise ValueError(f"trial {number} of {self.folder} has no run; those that do are {[trial.number for trial in self.complete]}")
        return self.folder / RUNS / name


def create(
    folder: Path,
    interactions: Interactions,
    config: RunConfig,
    space: Space,
    search: SweepConfig | None = None,
    k: int = DEFAULT_K,
    seed: int = 0,
    source: Source | None = None,
    options: Mapping[str, Any] | None = None,
    flags: str = "",
) -> Definition:
    """Make the folder of a sweep, which appears whole or not at all.

    Parameters
    ----------
    interactions
        The data; it is kept in the folder unless it has a split of its own or features of users are used.
    config
        Settings of every trial, but for what varies.
    k, seed
        See `Definition`.
    source, options
        Where the data was read from, see `sparcode.data.loading.load_split`; needed if it cannot be kept.
    flags
        Flags of `sparcode train` that name the data.

    Raises
    ------
    ValueError
        If something is at that place, a grid is not finite, or the data can neither be kept nor read again.
    """
    # pandas and torch take seconds to import; a sweep is read without them.
    from sparcode.sweep.data import describe_data, keep_data

    clear_leftovers(folder)
    refuse_link(folder)
    if folder.exists():
        raise ValueError(f"{folder} exists; name a new folder, or go on with the sweep in it by --resume")
    data = describe_data(interactions, config, space, source, options, flags)
    try:
        definition = Definition(data=data, config=config, space=space, search=search or SweepConfig(), k=k, seed=seed)
    except ValidationError as error:
        raise ValueError(validation_message(error)) from error

    def fill(new: Path) -> None:
        write_definition(new, definition)
        if data.is_kept:
            keep_data(new, interactions)

    write_whole(folder, fill)
    return definition


def load(folder: Path) -> Sweep:
    """Read a sweep, running or not; ValueError, which names the file, if the folder is none of a sweep or a file is damaged."""
    definition = read_definition(folder)
    records = [read_record(folder, number) for number in finished_numbers(folder)]
    trials = tuple(record for record in records if record is not None)
    running = is_running(folder)
    finished, word, under_way = {trial.number for trial in trials}, current(folder), {}
    for number in begun_numbers(folder) if running else ():
        if number not in finished and (event := last_event(folder, number)) is not None and event.session == word:
            under_way[number] = event
    return Sweep(folder, definition, trials, under_way, running)
