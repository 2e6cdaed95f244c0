"""Progress bars on standard error, fed by what a comparison reports."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

from sparcode.comparison.training import Step
from sparcode.training.epoch_record import EpochRecord

_WITHOUT_EPOCHS = "{desc} ({elapsed})"


class Progress:
    """One bar per step; none if `quiet`, or if standard error is not a terminal."""

    def __init__(self, quiet: bool) -> None:
        self._hidden = quiet or not sys.stderr.isatty()
        self._bar: tqdm | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def on_step(self, step: Step) -> None:
        """Start a bar; the one before is finished."""
        self._close()
        self._bar = tqdm(
            desc=step.name,
            total=step.epochs or None,
            unit="epoch",
            bar_format=None if step.epochs else _WITHOUT_EPOCHS,
            file=sys.stderr,
            disable=self._hidden,
        )

    def on_epoch(self, record: EpochRecord) -> None:
        """Move the bar on and show the validation recall; epoch 0 is the state before training."""
        if self._bar is None:
            return
        self._bar.set_postfix(recall=f"{record.recall:.4f}", refresh=False)
        self._bar.update(record.epoch - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
