from __future__ import annotations

import pytest

from app.kept.sweep_words import (
    LUCK,
    answer,
    beside,
    event_words,
    importance_words,
    left_words,
    long_name,
    megabytes,
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
    assert beside(definition(), [*TRIALS, FAILED, PRUNED]) == (
        "The best recall is 0.670, of K=128, P=4, joint learning rate 0.001 with 2 times the bytes. "
        f"5 trials: 3 complete, 1 given up early, 1 failed. {LUCK}"
    )
    assert beside(definition(), [FAILED]) == "1 trial: 1 failed."
    assert beside(definition(), []) == ""
    point = TRIALS[2].curve[0]
    small = point.model_copy(update={"recall": 0.995 * point.recall, "size_bytes": point.size_bytes // 128})
    assert "with 128 times the bytes" in beside(definition(), [TRIALS[2].model_copy(update={"curve": (point, small)})])


def test_within_a_budget_the_answer_and_the_best_are_within_it() -> None:
    # Half the scores of K = 64 have 3,200 bytes; of K = 128 only a quarter fit.
    within = definition(max_bytes=3_300)
    assert answer(within, TRIALS).startswith(
        "**Within 0.0033 MB, the smallest index within 1% of the best recall is K=64, P=4, joint learning rate 0.001**: 0.0032 MB, "
        "Recall@50 0.617"
    )
    assert beside(within, TRIALS).startswith("It is the best of all.")
    assert answer(definition(max_bytes=10), TRIALS) == "No threshold of any trial is within the 1e-05 MB allowed"
    assert beside(definition(max_bytes=10), TRIALS) == "3 trials: 3 complete."


def test_gigabytes_are_whole_megabytes() -> None:
    assert [megabytes(size) for size in (3_200, 12_345_678, 1_234_567_890)] == ["0.0032 MB", "12.3 MB", "1,235 MB"]


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
    assert importance_words(shares, "size_bytes") == "codebook size K explains about 70% of the differences in index size"
    assert importance_words({}, "recall") == ""
