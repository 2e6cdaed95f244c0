"""What a sweep says: the Pareto front of all points, the smallest index near the best, and which settings matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from sparcode.comparison.pareto import smallest_within, undominated
from sparcode.sweep.definition import Definition
from sparcode.sweep.record import TrialRecord

Figure = Literal["recall", "p50_ms", "size_bytes"]
FIGURES: Final[tuple[Figure, ...]] = ("recall", "p50_ms", "size_bytes")
NEAR_BEST: Final = 0.99
# Below this a forest has nothing to learn from.
_LEAST_TRIALS: Final = 4


class SweepPoint(NamedTuple):
    """One complete trial at one threshold; `place` counts the points of its curve."""

    trial: int
    place: int
    threshold: float
    recall: float
    p50_ms: float
    size_bytes: int


def points_of(trials: Sequence[TrialRecord]) -> list[SweepPoint]:
    """The points of all curves, by trial and then by falling size."""
    return [
        SweepPoint(trial.number, place, point.threshold, point.recall, point.p50_ms, point.size_bytes)
        for trial in trials
        for place, point in enumerate(trial.curve)
    ]


def front(points: Sequence[SweepPoint], by: Sequence[Figure] = ("size_bytes", "recall")) -> list[SweepPoint]:
    """The points that no other beats in two or three figures: recall, higher is better, latency and bytes, lower is better.

    By the first figure, best last for recall. ValueError for other figures, or fewer than two.
    """
    if len(by) < 2 or len(set(by)) < len(by) or not set(by) <= set(FIGURES):
        raise ValueError(f"a front is of two or three of {', '.join(FIGURES)}; got {', '.join(by) or 'none'}")
    signs = np.array([-1.0 if figure == "recall" else 1.0 for figure in by])
    costs = signs * np.array([[getattr(point, figure) for figure in by] for point in points], dtype=np.float64).reshape(-1, len(by))
    found = [points[row] for row in undominated(costs)]
    return found[::-1] if by[0] == "recall" else found


def allowed_points(definition: Definition, trials: Sequence[TrialRecord]) -> list[SweepPoint]:
    """The points that the answer is chosen from: all, or those within the bytes that the sweep allows."""
    most = definition.search.max_bytes
    return [point for point in points_of(trials) if most is None or point.size_bytes <= most]


def smallest_near_best(points: Sequence[SweepPoint], share: float = NEAR_BEST) -> SweepPoint | None:
    """The smallest index whose recall is at least that share of the best one; None without points."""
    return smallest_within(points, share)


def answer_text(definition: Definition, trials: Sequence[TrialRecord], share: float = NEAR_BEST) -> str:
    """The answer in one sentence or two, within the bytes that the sweep allows."""
    # Imports networks, which take seconds.
    from sparcode.comparison.table import readable_bytes

    points, most = allowed_points(definition, trials), definition.search.max_bytes
    best, near = max(points, key=lambda point: (point.recall, -point.size_bytes), default=None), smallest_near_best(points, share)
    if best is None or near is None:
        if most is not None and points_of(trials):
            return f"No trial has a point within the {readable_bytes(most)} allowed: there is no answer."
        return "No trial has finished with a curve yet: there is no answer."
    chosen = next(trial for trial in trials if trial.number == near.trial)
    sentence = (
        f"{'The' if most is None else f'Within {readable_bytes(most)}, the'} smallest index within {100 * (1 - share):.3g}% of the best "
        f"recall is {readable_bytes(near.size_bytes)} with "
        f"{params_text(chosen.params)} (trial {near.trial}, threshold {near.threshold:.4g}): recall@{definition.k} {near.recall:.4f} in "
        f"{near.p50_ms:.3f} ms."
    )
    if near == best:
        return f"{sentence} It has the best recall."
    return f"{sentence} The best recall is {best.recall:.4f}, of trial {best.trial} in {readable_bytes(best.size_bytes)}."


def params_text(params: dict) -> str:
    """Settings in words, without their stages."""
    return ", ".join(f"{name.partition('.')[2]} {_value(value)}" for name, value in params.items())


def importance(definition: Definition, trials: Sequence[TrialRecord], of: Figure = "recall") -> dict[str, float]:
    """How much of the variance of a figure each setting explains, most first; they sum to 1. Empty if too little is known.

    By fANOVA (Hutter et al., ICML 2014) with the sweep's seed, as `optuna.importance` has it: of what settings explain alone, not together.
    Figures are those of each complete trial's best point within the bytes that the sweep allows; trials without one are left out.
    """
    # scikit-learn takes seconds to import.
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    known = [(trial, point) for trial in trials if (point := trial.best(definition.search.max_bytes)) is not None]
    done, values = [trial for trial, _ in known], [float(getattr(point, of)) for _, point in known]
    distributions = definition.space.distributions
    varied = [name for name in distributions if len({trial.params[name] for trial in done}) > 1]
    if len(done) < _LEAST_TRIALS or not varied or len(set(values)) < 2:
        return {}
    study = optuna.create_study(direction="maximize")
    for trial, value in zip(done, values, strict=True):
        study.add_trial(create_trial(state=TrialState.COMPLETE, value=value, params=trial.params, distributions=distributions))
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=definition.seed), params=varied)
    return {name: float(value) for name, value in found.items()} | {name: 0.0 for name in distributions if name not in varied}


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
