"""Progress on standard error, fed by what a comparison reports: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType

from tqdm import tqdm

from sparcode.commands.terminal import say
from sparcode.comparison.training import Step
from sparcode.training.epoch_record import EpochRecord

_WITHOUT_EPOCHS = "{desc} ({elapsed})"


class Progress:
    """One bar per step, or one line per step and epoch where standard error is no terminal; nothing if `quiet`."""

    def __init__(self, quiet: bool) -> None:
        self._shows_bars = not quiet and sys.stderr.isatty()
        self._writes_lines = not quiet and not self._shows_bars
        self._bar: tqdm | None = None
        self._step, self._told = Step(""), 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def on_step(self, step: Step) -> None:
        """Start a step; the one before is finished."""
        self._close()
        self._step, self._told = step, time.perf_counter()
        if self._shows_bars:
            bar_format = None if step.epochs else _WITHOUT_EPOCHS
            self._bar = tqdm(desc=step.name, total=step.epochs or None, unit="epoch", bar_format=bar_format, file=sys.stderr)
        elif self._writes_lines:
            say(f"{step.name}, at most {step.epochs} epochs" if step.epochs else step.name, err=True)

    def on_epoch(self, record: EpochRecord) -> None:
        """Show an epoch of the step; epoch 0 is the state before training."""
        if self._bar is not None:
            self._bar.set_postfix(recall=f"{record.recall:.4f}", refresh=False)
            self._bar.update(record.epoch - self._bar.n)
        elif self._writes_lines:
            say(self._line(record), err=True)

    def _line(self, record: EpochRecord) -> str:
        now, epochs = time.perf_counter(), self._step.epochs
        # With validation; epochs of a checkpoint are told at once.
        seconds, self._told = max(record.train_seconds, now - self._told), now
        line = f"{self._step.name}, epoch {record.epoch} of at most {epochs}: validation recall {record.recall:.4f}, {seconds:.1f} s"
        left = (epochs - record.epoch) * seconds
        return f"{line}, at most {duration(left)} left" if record.epoch and left else line

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def duration(seconds: float) -> str:
    """A time in hours, minutes or seconds, rounded up to whole ones."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds > 2 * length:
            return f"{math.ceil(seconds / length)} {unit}"
    return f"{math.ceil(seconds)} s"
