from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from app.live_tuning import fine_tune_within
from sparcode.config import RunConfig
from sparcode.pipeline import fine_tune, preview
from sparcode.training import EpochRecord, never_stop, validation_recall
from tests.tiny import changed, tiny_backbone, tiny_split


def stepping(*readings: float) -> Callable[[], float]:
    """A clock that shows these times, one after the other."""
    times = iter(readings)
    return lambda: next(times)


def tune(config: RunConfig, seconds: float, clock: Callable[[], float]) -> tuple[list[EpochRecord], bool, float]:
    """Records, whether it was cut short, and the recall the model is left at."""
    model = preview(tiny_backbone(), tiny_split(), config)
    records, cut_short = fine_tune_within(model, tiny_split(), config, seconds, lambda record: None, never_stop, clock)
    return records, cut_short, validation_recall(model, tiny_split().validation)


def test_as_many_epochs_are_trained_as_fit() -> None:
    # Started at 0, the preview's state measured at 1, then 2 s an epoch: of 9 s four epochs fit.
    records, cut_short, recall = tune(changed(training={"joint_epochs": 20, "patience": 20}), 9.0, stepping(0, 1, 3, 5, 7, 9))
    assert [record.epoch for record in records] == [0, 1, 2, 3, 4]
    assert cut_short
    assert recall == max(record.recall for record in records)


def test_one_epoch_is_trained_even_if_there_is_no_time_for_it() -> None:
    records, cut_short, _ = tune(changed(training={"joint_epochs": 5}), 1.0, stepping(0, 10, 30))
    assert [record.epoch for record in records] == [0, 1]
    assert cut_short


def test_slower_epochs_lower_the_number_that_fits() -> None:
    records, _, _ = tune(changed(training={"joint_epochs": 20, "patience": 20}), 10.0, stepping(0, 0, 1, 8, 12))
    assert [record.epoch for record in records] == [0, 1, 2]


@pytest.mark.parametrize("seconds", [1e6, math.inf])
def test_with_time_enough_it_is_the_training_of_the_settings(seconds: float) -> None:
    config = changed(training={"joint_epochs": 4})
    model = preview(tiny_backbone(), tiny_split(), config)
    expected = fine_tune(model, tiny_split(), config)
    records, cut_short, _ = tune(config, seconds, stepping(*range(10)))
    assert [record[:6] for record in records[1:]] == [record[:6] for record in expected[1:]]
    assert not cut_short


def test_patience_ends_it_as_without_a_limit() -> None:
    config = changed(training={"joint_epochs": 20, "patience": 1, "joint_learning_rate": 1e-9, "codebook_learning_rate": 1e-9})
    records, cut_short, _ = tune(config, 1e6, stepping(*range(30)))
    assert len(records) == 2
    assert not cut_short


def test_it_can_be_stopped() -> None:
    config = changed(training={"joint_epochs": 20})
    model = preview(tiny_backbone(), tiny_split(), config)
    seen: list[int] = []
    records, cut_short = fine_tune_within(
        model, tiny_split(), config, 1e6, lambda record: seen.append(record.epoch), lambda: len(seen) == 2, stepping(*range(30))
    )
    assert [record.epoch for record in records] == [0, 1]
    assert not cut_short


def test_without_joint_epochs_there_is_nothing_to_do() -> None:
    records, cut_short, _ = tune(changed(training={"joint_epochs": 0}), 5.0, stepping())
    assert (records, cut_short) == ([], False)
