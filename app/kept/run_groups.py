"""What tells runs apart in their settings, and runs that differ in the seed of training alone, as one group with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from app.kept.comparable import RunFacts
from app.kept.run_figures import RunFigures


class Difference(NamedTuple):
    """A setting, as ``stage.field``, that not all runs have alike, and its value in each of them, in their order."""

    setting: str
    values: tuple[str, ...]


class Spread(NamedTuple):
    """Mean and standard deviation (n - 1 degrees of freedom; NaN for one run) over the n runs of a group."""

    mean: float
    deviation: float
    n: int


class SeedGroup(NamedTuple):
    """Runs of the same data and settings but for the seed of training, in the order given."""

    runs: tuple[RunFigures, ...]

    def spread(self, value: Callable[[RunFigures], float]) -> Spread:
        """A figure over the runs."""
        values = [value(run) for run in self.runs]
        return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float("nan"), len(values))


def seed_groups(runs: Sequence[RunFigures]) -> list[SeedGroup]:
    """Groups in order of their first run; a copy of a run, with its seed too, is in another group: it says nothing about the spread."""
    found: dict[tuple[str, str, int], list[RunFigures]] = {}
    for run in runs:
        alike, seed, copies = _but_for_the_seed(run.facts), run.facts.config.training.seed, 0
        while any(other.facts.config.training.seed == seed for other in found.get((*alike, copies), ())):
            copies += 1
        found.setdefault((*alike, copies), []).append(run)
    return [SeedGroup(tuple(group)) for group in found.values()]


def differences(runs: Sequence[RunFacts]) -> list[Difference]:
    """Data first, then the settings in which runs differ, in the order of the settings file; empty for fewer than two runs."""
    columns = [{"data": run.data_name if len({one.data_hash for one in runs}) > 1 else "", **_flat(run)} for run in runs]
    # Other data may have the same name.
    for column, run in zip(columns, runs, strict=True):
        column["data"] += f" ({run.data_hash[:8]})" if column["data"] else ""
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [Difference(name, tuple(_text(column.get(name)) for column in columns)) for name in names]
    return [row for row in rows if len(set(row.values)) > 1]


def _but_for_the_seed(run: RunFacts) -> tuple[str, str]:
    training = run.config.training.model_copy(update={"seed": 0})
    return run.data_hash, run.config.model_copy(update={"training": training}).content_hash()


def _flat(run: RunFacts) -> dict[str, Any]:
    stages = run.config.model_dump(mode="json")
    return {f"{stage}.{field}": value for stage, fields in stages.items() for field, value in fields.items()}


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
