from __future__ import annotations

import pytest

from app.kept.sweep_words import (
    answer,
    beside,
    event_words,
    importance_words,
    left_words,
    long_name,
    params_words,
    setting_name,
    value_text,
)
from sparcode.sweep.events import Event
from sparcode.sweep.record import TrialRecord
from tests.sweep.planted import definition, planted_record

PARAMS = {"quantizer.codebook_size": 128, "quantizer.n_nearest": 4, "training.joint_learning_rate": 0.001}
TRIALS = [planted_record(number, PARAMS | {"quantizer.codebook_size": size}) for number, size in enumerate((16, 64, 128))]
FAILED = TrialRecord(number=3, state="failed", params=PARAMS, error="no room")
PRUNED = TrialRecord(number=4, state="pruned", params=PARAMS)


def test_the_answer_is_the_smallest_index_near_the_best_recall() -> None:
    # Half the scores of K = 128 have 99.5% of its recall, 0.67 * 0.995; nothing smaller has 99%.
    assert answer(definition(), TRIALS) == (
        "**The smallest index within 1% of the best recall is K=128, P=4, joint learning rate 0.001**: 0.0064 MB, Recall@50 0.667, 0.040 ms"
    )
    assert answer(definition(), [FAILED]) == ""


def test_beside_it_stand_the_best_and_the_number_of_trials() -> None:
    assert beside([*TRIALS, FAILED, PRUNED]) == (
        "The best recall is 0.670, of K=128, P=4, joint learning rate 0.001 with 2 times the bytes. "
        "5 trials: 3 complete, 1 given up early, 1 failed."
    )
    assert beside([FAILED]) == "1 trial: 1 failed."
    assert beside([]) == ""


def test_settings_have_letters_where_the_studio_has_them() -> None:
    assert params_words({"quantizer.n_codebooks": 2, "training.dropout": 0.12345, "model.link": "exp"}) == "M=2, dropout 0.1235, link exp"
    assert (setting_name("model.n_tokens"), setting_name("training.joint_epochs")) == ("T", "joint epochs")
    assert (long_name("quantizer.n_nearest"), long_name("training.dropout")) == ("codes per token P", "dropout")
    assert [value_text(value) for value in (None, True, False, 3, 0.00012345, "mlp")] == ["none", "yes", "no", "3", "0.0001234", "mlp"]


def test_a_trial_under_way_says_what_it_does() -> None:
    event = Event(stage="joint", session="", params={"quantizer.codebook_size": 8}, epoch=3, epochs=30, recall=0.5)
    assert event_words(7, event) == "Trial 7 (K=8) trains codes and network together, epoch 3 of 30, recall 0.500"
    waiting = Event(stage="waiting", session="", params={})
    assert event_words(0, waiting) == "Trial 0 () waits for a backbone that another trial trains"


@pytest.mark.parametrize(("seconds", "text"), [(0.0, ""), (float("inf"), ""), (42.0, "about 42 s left"), (150.0, "about 2 min left")])
def test_time_left_is_rounded(seconds: float, text: str) -> None:
    assert left_words(seconds) == text


def test_the_setting_that_matters_most_is_named() -> None:
    shares = {"quantizer.n_nearest": 0.3, "quantizer.codebook_size": 0.7}
    assert importance_words(shares, "size_bytes") == "codebook size K decides 70% of the differences in index size"
    assert importance_words({}, "recall") == ""
