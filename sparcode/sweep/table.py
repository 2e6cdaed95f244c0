"""All trials of a sweep as a table, and as files: CSV, Parquet and JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any, Final, Literal

from sparcode.sweep.answer import points_of
from sparcode.sweep.definition import Definition
from sparcode.sweep.record import TrialRecord

Format = Literal["csv", "parquet", "json"]
FORMATS: Final[tuple[Format, ...]] = ("csv", "parquet", "json")


def trial_rows(definition: Definition, trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """One row per finished trial: its number and state, what varies, and its figures; None where there are none.

    ``best_`` is the point of best recall (within the sweep's bytes, if it has a limit), ``own_`` that at the threshold of training.
    """
    rows = []
    for trial in trials:
        best = trial.best(definition.search.max_bytes)
        points = {"best": best, "own": trial.own if trial.curve else None}
        figures = {
            f"{which}_{name}": None if point is None else getattr(point, name)
            for which, point in points.items()
            for name in ("recall", "ndcg", "p50_ms", "size_bytes", "threshold")
        }
        rows.append(
            {
                "trial": trial.number,
                "state": trial.state,
                **{name: trial.params.get(name) for name in definition.space.settings},
                **figures,
                "epochs": len(trial.epochs),
                "seconds": trial.seconds,
                "backbone_seconds": trial.backbone_seconds,
                "run": trial.run,
                "error": trial.error,
            }
        )
    return rows


def point_rows(trials: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """One row per point of every curve."""
    return [point._asdict() for point in points_of(trials)]


def as_file(definition: Definition, trials: Sequence[TrialRecord], form: Format) -> bytes:
    """The rows of all trials as a file; JSON has the definition and every curve beside them. ValueError for another format."""
    rows = trial_rows(definition, trials)
    if form == "json":
        whole = {"definition": definition.model_dump(mode="json"), "trials": rows, "points": point_rows(trials)}
        return (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode()
    if form not in FORMATS:
        raise ValueError(f"format={form}: must be one of {', '.join(FORMATS)}")
    # Takes a second to import.
    import pandas as pd

    frame = pd.DataFrame(rows).convert_dtypes()
    if form == "csv":
        return frame.to_csv(index=False).encode()
    file = io.BytesIO()
    frame.to_parquet(file, index=False)
    return file.getvalue()
