from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count

import pytest

from app.models.tuned import fine_tune_within
from sparcode.config import RunConfig
from sparcode.training.epoch_record import EpochRecord, never_stop
from sparcode.training.pipeline import fine_tune, preview
from sparcode.training.trainer import validation_recall
from tests.tiny import CONFIG, changed, tiny_backbone, tiny_split

N_BATCHES = math.ceil(len(tiny_split().train) / CONFIG.training.batch_size)


def ticking() -> Callable[[], float]:
    """A clock on which every look takes a second: one when it starts, one before each batch and one after each epoch."""
    times = count()
    return lambda: next(times)


def tune(config: RunConfig, seconds: float, should_stop: Callable[[], bool] = never_stop) -> tuple[list[EpochRecord], bool, float]:
    """Records, whether it was cut short, and the recall the model is left at."""
    model = preview(tiny_backbone(), tiny_split(), config)
    records, cut_short = fine_tune_within(model, tiny_split(), config, seconds, lambda record: None, should_stop, ticking())
    return records, cut_short, validation_recall(model, tiny_split().validation)


def test_time_ends_the_training_between_batches_at_the_best_epoch() -> None:
    config = changed(training={"joint_epochs": 20, "patience": 20})
    # Time for the look after the preview, two epochs, and the first batch of the third.
    records, cut_short, recall = tune(config, 1 + 2 * (N_BATCHES + 1) + 1 + 1)
    assert [record.epoch for record in records] == [0, 1, 2, 3]
    assert [record.stopped for record in records] == [False, False, False, True]
    assert cut_short
    assert recall == max(record.recall for record in records)


ONE_EPOCH = 1 + N_BATCHES + 1
NO_GAIN = {"patience": 1, "joint_learning_rate": 1e-9, "codebook_learning_rate": 1e-9}


@pytest.mark.parametrize(
    ("training", "seconds", "stopped", "n_records", "cut"),
    [
        ({"joint_epochs": 20, "patience": 20}, ONE_EPOCH, False, 2, True),
        ({"joint_epochs": 1}, ONE_EPOCH, False, 2, False),
        ({"joint_epochs": 20, **NO_GAIN}, 1e6, False, 2, False),
        ({"joint_epochs": 20}, 1e6, True, 1, False),
        ({"joint_epochs": 0}, 5.0, False, 0, False),
    ],
    ids=["time after an epoch", "time with the last epoch", "patience", "somebody", "no epochs"],
)
def test_only_time_cuts_it_short(training: dict, seconds: float, stopped: bool, n_records: int, cut: bool) -> None:
    records, cut_short, _ = tune(changed(training=training), seconds, lambda: stopped)
    assert [record.epoch for record in records] == list(range(n_records))
    assert not any(record.stopped for record in records)
    assert cut_short == cut


@pytest.mark.parametrize("seconds", [1e6, math.inf])
def test_with_time_enough_it_is_the_training_of_the_settings(seconds: float) -> None:
    config = changed(training={"joint_epochs": 4})
    model = preview(tiny_backbone(), tiny_split(), config)
    expected = fine_tune(model, tiny_split(), config)
    records, cut_short, _ = tune(config, seconds)
    assert [record[1:6] for record in records[1:]] == [record[1:6] for record in expected[1:]]
    assert not cut_short
