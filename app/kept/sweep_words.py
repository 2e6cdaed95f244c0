"""What a sweep says, in words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from sparcode.sweep.answer import Figure, SweepPoint, allowed_points, points_of, smallest_near_best
from sparcode.sweep.definition import Definition
from sparcode.sweep.events import Event
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.space import Value

# Settings that have a letter.
LETTERS: Final = {
    "quantizer.n_codebooks": "M",
    "quantizer.codebook_size": "K",
    "quantizer.n_nearest": "P",
    "model.n_tokens": "T",
    "model.token_dim": "D",
}
_WORDS: Final = {
    "quantizer.n_codebooks": "codebooks",
    "quantizer.codebook_size": "codebook size",
    "quantizer.n_nearest": "codes per token",
    "model.n_tokens": "tokens",
    "model.token_dim": "dims",
}
# The best of many is partly the luckiest.
LUCK: Final = (
    "These recalls are of the validation users, on whom the best was picked: expect somewhat less of other users. A run that is opened is "
    "measured on the test users."
)
FIGURES: Final[dict[Figure, str]] = {"recall": "recall", "size_bytes": "index size", "p50_ms": "latency"}


def setting_name(setting: str) -> str:
    """A setting's letter, or its field's name in words."""
    return LETTERS.get(setting) or setting.partition(".")[2].replace("_", " ")


def long_name(setting: str) -> str:
    """A setting in words, with its letter if it has one."""
    return f"{_WORDS[setting]} {LETTERS[setting]}" if setting in LETTERS else setting.partition(".")[2].replace("_", " ")


def value_text(value: Value | None) -> str:
    """A value with four digits at most."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def params_words(params: Mapping[str, Value]) -> str:
    """``M=1, K=128, dropout 0.3``."""
    words = ((setting_name(setting), value_text(value), setting in LETTERS) for setting, value in params.items())
    return ", ".join(f"{name}={value}" if has_letter else f"{name} {value}" for name, value, has_letter in words)


def megabytes(size_bytes: float) -> str:
    """Megabytes with three digits, or whole ones."""
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.3g} MB"


def answer(definition: Definition, trials: Sequence[TrialRecord]) -> str:
    """One sentence, in Markdown: the smallest index within 1% of the best recall; empty before a trial is complete."""
    near, most = smallest_near_best(allowed_points(definition, trials)), definition.search.max_bytes
    if near is None:
        return f"No threshold of any trial is within the {megabytes(most)} allowed" if most and points_of(trials) else ""
    the = "The" if most is None else f"Within {megabytes(most)}, the"
    return (
        f"**{the} smallest index within 1% of the best recall is {params_words(_params(trials, near))}**: {megabytes(near.size_bytes)}, "
        f"Recall@{definition.k} {near.recall:.3f}, {near.p50_ms:.3f} ms"
    )


def beside(definition: Definition, trials: Sequence[TrialRecord]) -> str:
    """The best of all, how lucky it may be, and how many trials there are of each kind; empty before one has finished."""
    if not trials:
        return ""
    states = Counter(trial.state for trial in trials)
    kinds = [("complete", "complete"), ("pruned", "given up early"), ("failed", "failed")]
    counted = ", ".join(f"{states[state]} {words}" for state, words in kinds if states[state])
    many = f"{len(trials)} trial{'' if len(trials) == 1 else 's'}: {counted}."
    points = allowed_points(definition, trials)
    near = smallest_near_best(points)
    if near is None:
        return many
    best = max(points, key=lambda point: (point.recall, -point.size_bytes))
    ratio = best.size_bytes / max(1, near.size_bytes)
    times = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
    of_best = f"The best recall is {best.recall:.3f}, of {params_words(_params(trials, best))} with {times} times the bytes."
    return f"{'It is the best of all.' if best == near else of_best} {many} {LUCK}"


def event_words(number: int, event: Event) -> str:
    """What a trial under way is doing."""
    stages = {
        "waiting": "waits for a backbone that another trial trains",
        "backbone": "trains its backbone",
        "codes": "fits its codes",
        "joint": "trains codes and network together",
        "measuring": "is being measured",
    }
    epoch = f", epoch {event.epoch} of {event.epochs}" if event.epochs else ""
    recall = "" if event.recall is None else f", recall {event.recall:.3f}"
    return f"Trial {number} ({params_words(event.params)}) {stages[event.stage]}{epoch}{recall}"


def left_words(seconds: float) -> str:
    """An estimate of time; empty for none."""
    if not math.isfinite(seconds) or seconds <= 0:
        return ""
    return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


def importance_words(shares: Mapping[str, float], of: Figure) -> str:
    """Which setting matters most; empty if too little is known."""
    if not shares:
        return ""
    setting, share = max(shares.items(), key=lambda item: item[1])
    return f"{long_name(setting)} explains about {share:.0%} of the differences in {FIGURES[of]}"


def _params(trials: Sequence[TrialRecord], point: SweepPoint) -> Mapping[str, Value]:
    return next(trial.params for trial in trials if trial.number == point.trial)
