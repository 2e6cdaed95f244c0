"""A planted sweep with a known answer: recall of a setting depends on K and a little on P, bytes on K, latency on P."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.comparison.pareto import undominated
from sparcode.sweep.answer import SweepPoint, allowed_points, answer_text, front, importance, points_of, smallest_near_best
from sparcode.sweep.record import TrialRecord
from sparcode.sweep.table import as_file, point_rows, trial_rows
from tests.sweep.planted import definition, planted_record

DEFINITION = definition(sampler="grid", pruner="none")
TRIALS = [planted_record(number, params) for number, params in enumerate(DEFINITION.space.grid())]


def test_the_smallest_index_near_the_best_is_the_planted_one() -> None:
    best, near = max(points_of(TRIALS), key=lambda point: point.recall), smallest_near_best(points_of(TRIALS))
    assert best.recall == pytest.approx(0.67)
    # K = 128 keeps 0.995 of its recall in half the bytes; with P = 4 that is within 1% of the best, with P = 2 it is not.
    assert TRIALS[near.trial].params == {
        "quantizer.codebook_size": 128, "quantizer.n_nearest": 4, "training.joint_learning_rate": 0.001,
    }  # fmt: skip
    assert (near.place, near.size_bytes) == (1, 6400)
    assert smallest_near_best(points_of(TRIALS), 0.5).size_bytes == 400
    assert smallest_near_best([]) is None


def test_the_answer_is_a_sentence_with_its_setting() -> None:
    told = answer_text(DEFINITION, TRIALS)
    assert told.startswith("The smallest index within 1% of the best recall is 6.40 kB with codebook_size 128, n_nearest 4")
    assert "recall@50 0.6667 in 0.040 ms. The best recall is 0.6700, of trial 22 in 12.80 kB." in told
    assert "no answer" in answer_text(DEFINITION, [])
    assert answer_text(DEFINITION, TRIALS[:1], 1.0).endswith("It has the best recall.")


def test_the_answer_keeps_to_the_bytes_allowed() -> None:
    within = definition(sampler="grid", max_bytes=3_300)
    # 3,200 bytes of K = 64 with P = 4: 0.62 * 0.995, more than a quarter of K = 128, 0.67 * 0.9.
    told = answer_text(within, TRIALS)
    assert told.startswith("Within 3.30 kB, the smallest index within 1% of the best recall is 3.20 kB with codebook_size 64, n_nearest 4")
    assert told.endswith("It has the best recall.")
    assert {point.size_bytes <= 3_300 for point in allowed_points(within, TRIALS)} == {True}
    assert answer_text(definition(max_bytes=10), TRIALS) == "No trial has a point within the 10 B allowed: there is no answer."


def test_the_front_of_recall_and_bytes_is_the_planted_one() -> None:
    # P = 4 costs no bytes and finds more, and the rate changes nothing: the first of both stays.
    found = front(points_of(TRIALS))
    assert {TRIALS[point.trial].params["quantizer.n_nearest"] for point in found} == {4}
    assert {TRIALS[point.trial].params["training.joint_learning_rate"] for point in found} == {0.001}
    assert [point.size_bytes for point in found] == sorted({point.size_bytes for point in found})
    recalls = [point.recall for point in found]
    assert recalls == sorted(recalls)
    assert recalls[-1] == pytest.approx(0.67)


def test_with_latency_the_front_has_every_number_of_nearest_codes() -> None:
    three = front(points_of(TRIALS), ("recall", "p50_ms", "size_bytes"))
    assert {TRIALS[point.trial].params["quantizer.n_nearest"] for point in three} == {1, 2, 4}
    assert three[0].recall == min(point.recall for point in three)
    assert [point.p50_ms for point in front(points_of(TRIALS), ("p50_ms", "size_bytes"))] == [0.01]
    for wrong in (("recall",), ("recall", "recall"), ("recall", "ndcg")):
        with pytest.raises(ValueError, match="two or three of recall, p50_ms, size_bytes"):
            front(points_of(TRIALS), wrong)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=25))
def test_no_point_beats_one_on_the_front_and_one_there_beats_every_other(rows: list[tuple[int, int, int]]) -> None:
    costs = np.array(rows, dtype=np.float64).reshape(-1, 3)
    found = set(undominated(costs).tolist())

    def beats(one: int, other: int) -> bool:
        return bool((costs[one] <= costs[other]).all() and (costs[one] < costs[other]).any())

    for row in range(len(rows)):
        is_beaten = any(beats(other, row) for other in range(len(rows)))
        is_repeated = any((costs[other] == costs[row]).all() for other in range(row))
        assert (row in found) == (not is_beaten and not is_repeated)


def test_what_recall_depends_on_is_what_was_planted() -> None:
    shares = importance(DEFINITION, TRIALS)
    assert list(shares) == ["quantizer.codebook_size", "quantizer.n_nearest", "training.joint_learning_rate"]
    # The variance of 0.05 log2(K / 16) over 4 values is 0.003125, that of 0.01 log2 P over 3 is 0.000067.
    assert shares["quantizer.codebook_size"] == pytest.approx(0.979, abs=0.02)
    assert shares["training.joint_learning_rate"] < 0.01
    assert sum(shares.values()) == pytest.approx(1)
    assert importance(DEFINITION, TRIALS) == shares
    assert next(iter(importance(DEFINITION, TRIALS, "p50_ms"))) == "quantizer.n_nearest"
    assert next(iter(importance(DEFINITION, TRIALS, "size_bytes"))) == "quantizer.codebook_size"


def test_importance_is_silent_where_too_little_is_known() -> None:
    assert importance(DEFINITION, TRIALS[:3]) == {}
    same = [trial.model_copy(update={"curve": TRIALS[0].curve}) for trial in TRIALS]
    assert importance(DEFINITION, same) == {}
    fixed = [trial for trial in TRIALS if trial.params["quantizer.n_nearest"] == 1]
    assert importance(DEFINITION, fixed)["quantizer.n_nearest"] == 0


def test_importance_is_of_the_points_that_the_charts_show() -> None:
    # Sizes of best points are all alike here, sizes at the threshold of training are not.
    alike = [
        trial.model_copy(update={"curve": (trial.curve[0].model_copy(update={"size_bytes": 9_000}), *trial.curve[1:])}) for trial in TRIALS
    ]
    assert importance(DEFINITION, alike, "size_bytes") == {}
    # Within 5,000 bytes K = 16 takes 1,600 and all others 3,200.
    within = importance(definition(sampler="grid", max_bytes=5_000), TRIALS, "size_bytes")
    assert next(iter(within)) == "quantizer.codebook_size"
    assert importance(definition(sampler="grid", max_bytes=100), TRIALS) == {}


def test_bytes_allowed_decide_what_is_maximised() -> None:
    trial = TRIALS[-1]
    assert trial.value() == pytest.approx(0.67)
    assert trial.value(6400) == pytest.approx(0.67 * 0.995)
    assert trial.value(100) == 0
    assert trial.best(100) is None


def test_the_table_has_every_trial_in_all_formats() -> None:
    others = [
        TrialRecord(number=24, state="failed", params=dict(TRIALS[0].params), error="the loss became nan, in epoch 1"),
        TrialRecord(number=25, state="pruned", params=dict(TRIALS[0].params), epochs=TRIALS[0].epochs),
    ]
    trials = [*TRIALS, *others]
    rows = trial_rows(DEFINITION, trials)
    assert [row["state"] for row in rows[-3:]] == ["complete", "failed", "pruned"]
    assert (rows[-2]["best_recall"], rows[-1]["epochs"]) == (None, 3)
    csv = pd.read_csv(io.BytesIO(as_file(DEFINITION, trials, "csv")))
    parquet = pd.read_parquet(io.BytesIO(as_file(DEFINITION, trials, "parquet")))
    whole = json.loads(as_file(DEFINITION, trials, "json"))
    assert len(csv) == len(parquet) == len(whole["trials"]) == 26
    assert csv["best_size_bytes"].tolist()[:24] == parquet["best_size_bytes"].tolist()[:24] == [row["best_size_bytes"] for row in rows[:24]]
    assert csv["error"][24] == "the loss became nan, in epoch 1"
    assert whole["points"] == point_rows(trials)
    assert SweepPoint(**whole["points"][4]) == points_of(trials)[4]
    with pytest.raises(ValueError, match="one of csv, parquet, json"):
        as_file(DEFINITION, trials, "xlsx")


def test_the_command_repeats_the_sweep() -> None:
    command = definition(("codebook_size=16,32", "learning_rate=0.001..0.1 log 3"), sampler="grid", max_bytes=5000).command("sweeps/a b")
    assert command == (
        "sparcode sweep --synthetic-n-users 100 --config 'sweeps/a b/sweep.json' --vary quantizer.codebook_size=16,32 "
        "--vary 'training.learning_rate=0.001..0.1 log 3' --sampler grid --max-bytes 5000 --out again"
    )
