"""The journal of a sweep: an Optuna study in a file of JSON lines, written by the process that runs the sweep alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import optuna
from optuna.pruners import BasePruner, NopPruner, PercentilePruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState, create_trial

from sparcode.sweep.definition import Definition
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.space import Params, Value, config_of

JOURNAL: Final = "journal.jsonl"
_NAME: Final = "sweep"
# Optuna's own default; with few trials at most a third is drawn before the sampler learns.
_STARTUP_TRIALS: Final = 10
_UNJUDGED_TRIALS: Final = 5
# Draws of one trial until a setting is found that was not tried before; then all settings are listed, where there are no more than these.
_MOST_DRAWS: Final = 20
_MOST_LISTED: Final = 10_000
# At the threshold of training.
_RECALL_AND_BYTES: Final = "recall and bytes"
_DENSITY: Final = "training.density"
_KEPT_PERCENT: Final = {"quartile": 75.0, "median": 50.0}
_STATES: Final = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class _NoLock:
    """The sweep's session lets one process write at a time; a lock of Optuna's would outlive a killed one."""

    def acquire(self) -> bool:
        """The lock is free."""
        return True

    def release(self) -> None:
        """Nothing to give back."""


class Journal:
    """The trials of a sweep, for the process that holds its session; a line that a killed process left half written is removed.

    ValueError if the file is damaged.
    """

    def __init__(self, folder: Path, definition: Definition) -> None:
        self._definition, path = definition, folder / JOURNAL
        _cut_unfinished(path)
        try:
            storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_NoLock()))
            self._study = optuna.create_study(study_name=_NAME, storage=storage, direction="maximize", load_if_exists=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    @property
    def n_trials(self) -> int:
        """Trials begun so far."""
        return len(self._study.get_trials(deepcopy=False))

    def unfinished(self) -> dict[int, dict[str, Value]]:
        """Number -> settings of the trials that were begun and not finished."""
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return {trial.number: dict(trial.params) for trial in running}

    def begin(self) -> tuple[int, dict[str, Value]] | None:
        """Begin a trial, in one line of the journal: its number and settings; None once there is nothing left to try."""
        trials = self._study.get_trials(deepcopy=False)
        if len(trials) >= self._definition.n_trials or (params := draw(self._definition, trials)) is None:
            return None
        distributions = self._definition.space.distributions
        self._study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions))
        return len(trials), params

    def finish(self, record: TrialRecord) -> None:
        """Enter the result of a trial; nothing happens if it has one."""
        trial = self._study.get_trials(deepcopy=False)[record.number]
        if trial.state.is_finished():
            return
        for epoch in record.epochs:
            self._study._storage.set_trial_intermediate_value(trial._trial_id, epoch.epoch, epoch.recall)
        value = None
        if record.state == "complete":
            value, own = record.value(self._definition.search.max_bytes), record.own
            self._study._storage.set_trial_user_attr(trial._trial_id, _RECALL_AND_BYTES, [own.recall, own.size_bytes])
        self._study.tell(record.number, value, state=_STATES[record.state])


class Hopeless:
    """Whether a trial under way should be given up, by the finished ones in the journal, which is read alone."""

    def __init__(self, folder: Path, definition: Definition) -> None:
        self._pruner = _pruner(definition)
        self._study = None
        if not isinstance(self._pruner, NopPruner):
            storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL), lock_obj=_NoLock()))
            self._study = optuna.load_study(study_name=_NAME, storage=storage)

    def after(self, recalls: Mapping[int, float]) -> bool:
        """Whether to give up after these epochs -> recall on validation users."""
        if self._study is None:
            return False
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=dict(recalls))
        return self._pruner.prune(self._study, trial)


def draw(definition: Definition, trials: Sequence[FrozenTrial]) -> dict[str, Value] | None:
    """The settings of the next trial after these: none that were tried, or do not go together; None if there is no other.

    Depends on the sweep's seed, the number of trials and what finished ones gave, not on the process: a sweep that was interrupted goes on
    as it would have. A grid is gone through whole, also settings that do not go together, which fail.
    """
    number = len(trials)
    if definition.search.sampler == "grid":
        return _grid_setting(definition, number)
    tried = {_identity(definition, trial.params) for trial in trials}
    directions, history = _seen_by_sampler(definition, trials)

    def is_new(params: Params) -> bool:
        identity = _identity(definition, params)
        return identity is not None and identity not in tried

    for attempt in range(_MOST_DRAWS):
        seed = int(np.random.SeedSequence([definition.seed, number, attempt]).generate_state(1)[0])
        study = optuna.create_study(directions=directions, sampler=_sampler(definition, seed))
        study.add_trials(history)
        params = study.ask(definition.space.distributions).params
        if is_new(params):
            return params
    # A sampler that has learned draws the same again and again.
    left = [params for params in definition.space.listed(_MOST_LISTED) if is_new(params)]
    return left[np.random.default_rng([definition.seed, number]).integers(len(left))] if left else None


def _seen_by_sampler(definition: Definition, trials: Sequence[FrozenTrial]) -> tuple[list[str], list[FrozenTrial]]:
    """What the sampler learns from: directions of its figures, and the trials with these."""
    if definition.search.objective == "recall":
        return ["maximize"], list(trials)
    known = (TrialState.COMPLETE, TrialState.RUNNING)
    return ["maximize", "minimize"], [
        create_trial(
            state=trial.state, params=trial.params, distributions=trial.distributions, values=trial.user_attrs.get(_RECALL_AND_BYTES)
        )
        for trial in trials
        if trial.state in known
    ]


def _grid_setting(definition: Definition, number: int) -> dict[str, Value] | None:
    """A grid is gone through in order; of one that is cut short, a seeded choice."""
    grid, wanted = definition.space.grid(), definition.n_trials
    rows = np.sort(np.random.default_rng(definition.seed).permutation(len(grid))[:wanted])
    return grid[rows[number]] if number < wanted else None


def _identity(definition: Definition, params: Params) -> str | None:
    """What settings share that say the same; None if they do not go together."""
    try:
        return config_of(definition.config, params).content_hash()
    except ValueError:
        return None


def _sampler(definition: Definition, seed: int) -> BaseSampler:
    if definition.search.sampler == "random":
        return RandomSampler(seed)
    startup = min(_STARTUP_TRIALS, math.ceil(definition.n_trials / 3))
    # Trials under way count as bad ones, so that others are not drawn beside them.
    return TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)


def _pruner(definition: Definition) -> BasePruner:
    kept = _KEPT_PERCENT.get(definition.search.pruner)
    # Epochs are measured at the threshold that the density sets: less of it, less recall, whatever the whole curve will be; and a small
    # index, on the front or within the bytes allowed, has less recall than others.
    search = definition.search
    if _DENSITY in definition.space.settings or search.objective == "front" or search.max_bytes is not None:
        return NopPruner()
    return NopPruner() if kept is None else PercentilePruner(kept, n_startup_trials=_UNJUDGED_TRIALS, n_warmup_steps=1)


def _cut_unfinished(path: Path) -> None:
    """Remove what follows the last whole line: the next one would be added to it."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
