"""What `sparcode sweep` prints: lines while it runs, and the table at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sparcode.commands.terminal import say

if TYPE_CHECKING:
    from sparcode.sweep.definition import Definition
    from sparcode.sweep.events import Event
    from sparcode.sweep.folder import Sweep
    from sparcode.sweep.record import TrialRecord

# Points of the front with less than this share of the best recall are counted, not shown.
SHOWN_SHARE: Final = 0.9


class SweepLines:
    """Lines on standard error, fed by a sweep as a `sparcode.sweep.run.Listener`; nothing if `quiet`."""

    def __init__(self, definition: Definition, quiet: bool) -> None:
        self._definition, self._quiet = definition, quiet

    def on_begin(self, n_finished: int) -> None:
        """How many trials there are."""
        search = self._definition.search
        done = f", {n_finished} of them finished before" if n_finished else ""
        self._say(f"{self._definition.n_trials} trials{done}: {search.sampler} search over {', '.join(self._definition.space.settings)}")

    def on_started(self, number: int, params: Mapping[str, Any]) -> None:
        """A trial has started."""
        from sparcode.sweep.answer import params_text

        self._say(f"trial {number} started: {params_text(dict(params))}")

    def on_event(self, number: int, event: Event) -> None:
        """A trial has come so far; epochs of SparCode itself are not told one by one."""
        if event.stage == "waiting":
            self._say(f"trial {number} waits for the backbone that another trial trains")
        elif event.stage == "backbone" and (event.epoch == 1 or event.epoch % 10 == 0):
            self._say(f"trial {number}, backbone, epoch {event.epoch} of at most {event.epochs}: validation recall {event.recall:.4f}")

    def on_finished(self, record: TrialRecord, n_finished: int, seconds_left: float) -> None:
        """A trial has finished."""
        from sparcode.commands.progress import duration

        left = f", about {duration(math.ceil(seconds_left))} left" if seconds_left else ""
        if record.state == "complete":
            own, best = record.own, record.best(self._definition.search.max_bytes)
            said = f"validation recall@{self._definition.k} {own.recall:.4f} in {_size(own.size_bytes)} at its own threshold"
            said += f", at best {best.recall:.4f} in {_size(best.size_bytes)}" if best else ", no point within the bytes allowed"
        elif record.state == "pruned":
            said = f"given up after joint epoch {record.epochs[-1].epoch}, validation recall {record.epochs[-1].recall:.4f}"
        else:
            said = f"failed and is skipped: {record.error}"
        self._say(f"trial {record.number} ({n_finished} of {self._definition.n_trials}) {said}; {record.seconds:.1f} s{left}")

    def _say(self, line: str) -> None:
        if not self._quiet:
            say(line, err=True)


def sweep_text(sweep: Sweep, ended: str) -> str:
    """The table of the front with the answer, which settings matter, and what became of the other trials."""
    from sparcode.comparison.table import text_table
    from sparcode.sweep.answer import answer_text, front, importance, points_of

    definition, trials = sweep.definition, {trial.number: trial for trial in sweep.trials}
    names = definition.space.settings
    found = front(points_of(sweep.complete))
    shown = [point for point in found if point.recall >= SHOWN_SHARE * found[-1].recall] if found else []
    header = ("trial", *(name.partition(".")[2] for name in names), "threshold", f"Recall@{definition.k}", "p50 latency", "index size")
    rows = [
        (
            str(point.trial),
            *(_value(trials[point.trial].params[name]) for name in names),
            f"{point.threshold:.4g}",
            f"{point.recall:.4f}",
            f"{point.p50_ms:.3f} ms",
            _size(point.size_bytes),
        )
        for point in shown
    ]
    matters = ", ".join(f"{name} {share:.0%}" for name, share in importance(definition, sweep.trials).items())
    lines = [
        text_table(header, rows),
        "",
        f"Pareto front of recall and size over all thresholds of {len(sweep.complete)} trials"
        + (f"; {len(found) - len(shown)} smaller ones of less than {SHOWN_SHARE:.0%} of the best recall are left out" if found else ""),
        answer_text(definition, sweep.trials),
        f"What recall depends on (fANOVA): {matters}" if matters else "What recall depends on: too few trials differ to say",
        *_others(sweep),
        "All figures on validation users; sparcode evaluate measures a trial's run on the test users, once it is chosen",
        f"Kept in {sweep.folder}, runs in {sweep.folder / 'runs'}",
    ]
    if ended != "complete" and not sweep.is_finished:
        n_left = definition.n_trials - len(sweep.trials)
        lines.append(f"{ended[0].upper()}{ended[1:]}: {n_left} trials are left; sparcode sweep --resume --out {sweep.folder} goes on")
    return "\n".join(lines)


def sweep_record(sweep: Sweep, ended: str) -> dict[str, Any]:
    """The same as exact plain values, with every trial and point."""
    from sparcode.sweep.answer import allowed_points, answer_text, front, importance, points_of, smallest_near_best
    from sparcode.sweep.table import point_rows, trial_rows

    definition = sweep.definition
    near = smallest_near_best(allowed_points(definition, sweep.trials))
    return {
        "folder": str(sweep.folder),
        "ended": ended,
        "definition": definition.model_dump(mode="json"),
        "trials": trial_rows(definition, sweep.trials),
        "points": point_rows(sweep.complete),
        "front": [point._asdict() for point in front(points_of(sweep.complete))],
        "smallest_near_best": None if near is None else near._asdict(),
        "answer": answer_text(definition, sweep.trials),
        "importance": importance(definition, sweep.trials),
        "command": definition.command(str(sweep.folder)),
    }


def _others(sweep: Sweep) -> list[str]:
    """Lines about trials that were pruned or failed."""
    pruned = [str(trial.number) for trial in sweep.trials if trial.state == "pruned"]
    failed = [f"Trial {trial.number} failed: {trial.error}" for trial in sweep.trials if trial.state == "failed"]
    return [*([f"Given up early: trial{'s' * (len(pruned) > 1)} {', '.join(pruned)}"] if pruned else []), *failed]


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _size(n_bytes: int) -> str:
    from sparcode.comparison.table import readable_bytes

    return readable_bytes(n_bytes)
