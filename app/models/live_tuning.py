"""Fine-tuning that fits a visitor's patience: it ends after some seconds, at the best epoch so far."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import fine_tune


def fine_tune_within(
    model: SparCodeModel,
    split: Split,
    config: RunConfig,
    seconds: float,
    on_epoch: Callable[[EpochRecord], None],
    should_stop: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[EpochRecord], bool]:
    """Fine-tune in place until the settings or the time end it; the model is left at the best epoch measured, the start included.

    Parameters
    ----------
    model
        The preview.
    split, config, on_epoch, should_stop
        As for `sparcode.training.pipeline.fine_tune`.
    seconds
        Time for the training; infinity is no limit.
    clock
        Seconds of a steady clock.

    Returns
    -------
    tuple
        The records, and whether the time ended the training. The last epoch may then be an incomplete one.
    """
    deadline = clock() + seconds
    late = False

    def stop() -> bool:
        nonlocal late
        late = late or clock() >= deadline
        return late or should_stop()

    records = fine_tune(model, split, config, on_epoch, stop)
    incomplete = bool(records) and (records[-1].stopped or records[-1].epoch < config.training.joint_epochs)
    return records, late and incomplete
