"""Fine-tuning that fits a visitor's patience: as many epochs as the time allows, on a schedule that ends with them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.pipeline import fine_tune
from sparcode.training import EpochRecord, Trainer, fit


def fine_tune_within(
    model: SparCodeModel,
    split: Split,
    config: RunConfig,
    seconds: float,
    on_epoch: Callable[[EpochRecord], None],
    should_stop: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[EpochRecord], bool]:
    """Fine-tune in place for at most about some seconds; the model ends at the best epoch measured, as without a limit.

    After every epoch the number of epochs is set anew to those that fit, so that the cosine of the step size comes to its end in time
    and no epoch is broken off. At least one epoch is trained.

    Parameters
    ----------
    model
        The preview.
    split, config, on_epoch, should_stop
        As for `sparcode.pipeline.fine_tune`.
    seconds
        Time for the training; infinity is no limit.
    clock
        Seconds of a steady clock.

    Returns
    -------
    tuple
        The records, and whether fewer epochs were planned in the end than the settings allow.
    """
    if config.training.joint_epochs == 0 or math.isinf(seconds):
        return fine_tune(model, split, config, on_epoch, should_stop), False
    most = config.training.joint_epochs
    trainer = Trainer(model, split.train, config.training)
    deadline = clock() + seconds
    began = math.nan

    def pace(record: EpochRecord) -> None:
        nonlocal began
        now = clock()
        if record.epoch == 0:
            began = now
        else:
            per_epoch = (now - began) / record.epoch
            left = max(0.0, deadline - now)
            trainer.total_epochs = min(most, record.epoch + int(left / per_epoch)) if per_epoch > 0 else most
        on_epoch(record)

    records = fit(trainer, split.validation, pace, should_stop)
    return records, trainer.epoch == trainer.total_epochs < most
