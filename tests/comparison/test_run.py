from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from sparcode.baselines.ease import EASE
from sparcode.comparison.peers import ALL_TO_ALL, COOCCURRENCE, EASE_NAME, POPULARITY, SPARCODE, TWO_TOWER
from sparcode.comparison.run import ComparedRun, compare
from sparcode.comparison.table import check_line, comparison_record, comparison_text, readable_bytes, text_table, without_nan
from sparcode.comparison.training import ComparisonStopped, Models, Step
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut, as_served
from sparcode.metrics import evaluation
from sparcode.metrics.evaluation import accuracy, direct_check
from sparcode.model.pair_features import PairShape
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training import pair_fit
from tests.model.test_pair_features import config_of
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

K = 10


@pytest.fixture(scope="module")
def watched() -> SimpleNamespace:
    steps: list[Step] = []
    epochs: list = []
    return SimpleNamespace(comparison=compare(tiny_data(), CONFIG, K, steps.append, epochs.append), steps=steps, epochs=epochs)


@pytest.fixture(scope="module")
def comparison(watched: SimpleNamespace) -> ComparedRun:
    return watched.comparison


def test_every_model_has_its_row(comparison: ComparedRun) -> None:
    assert [row.name for row in comparison.rows] == [SPARCODE, TWO_TOWER, ALL_TO_ALL, EASE_NAME, COOCCURRENCE, POPULARITY]
    for row in comparison.rows:
        assert all(0 <= value <= 1 for value in (row.recall, row.ndcg, row.precision))
        assert 0 < row.p50_ms.middle <= row.p95_ms.middle
        assert row.size_bytes > 0


def test_the_rows_are_measured_on_the_test_users(comparison: ComparedRun) -> None:
    rows = {row.name: row for row in comparison.rows}
    run, test = comparison.run, tiny_split().test
    ease = ExactRetriever(EASE().fit(tiny_split().train))
    assert accuracy(ease, test, K) == (rows[EASE_NAME].recall, rows[EASE_NAME].ndcg, rows[EASE_NAME].precision)
    served = SparseRetriever(run.model, run.index, comparison.threshold)
    assert accuracy(served, test, K)[0] == rows[SPARCODE].recall == comparison.check.direct


def test_on_large_catalogues_some_users_are_checked(comparison: ComparedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run, test = comparison.run, tiny_split().test
    assert comparison.check.n_queries == len(test.queries)
    assert "users)" not in check_line(K, comparison.check, len(test.queries))
    monkeypatch.setattr(evaluation, "CHECKED_PAIRS", 3 * run.model.n_items + 1)
    served = SparseRetriever(run.model, run.index, comparison.threshold)
    check = direct_check(served, run.model, comparison.threshold, test, K)
    found = served.retrieve(test.queries, K).item_ids[:3]
    by_user = [np.isin(ids, test.targets[row]).sum() / len(test.targets[row]) for row, ids in enumerate(found)]
    assert check.n_queries == 3
    assert check.through_index == check.direct == pytest.approx(np.mean(by_user))
    assert check_line(K, check, len(test.queries)).endswith("(3 of 12 users)")


def test_the_facts_beside_the_table_are_those_of_split_and_index(comparison: ComparedRun) -> None:
    split, run = tiny_split(), comparison.run
    assert (comparison.n_train, comparison.n_validation, comparison.n_test) == (len(split.train), 12, 12)
    assert comparison.density == run.index.density(comparison.threshold)
    assert comparison.codes_in_use == run.index.n_lists
    unseen = np.setdiff1d(run.model.encode(split.test.queries)[0], run.index.codes)
    assert comparison.unseen_codes == len(unseen)
    data, facts = tiny_data(), run.data
    assert (facts.n_users, facts.n_items, facts.n_interactions) == (data.n_users, data.n_items, data.n_interactions)
    assert facts.content_hash == data.content_hash()
    assert [(row["name"], row["k"]) for row in run.results] == [(row.name, K) for row in comparison.rows]


def test_every_step_and_epoch_is_told(watched: SimpleNamespace) -> None:
    budget = CONFIG.training
    assert [step.epochs for step in watched.steps if step.epochs] == [
        budget.epochs,
        budget.joint_epochs,
        budget.epochs + budget.joint_epochs,
    ]
    trained = sum(row.epochs for row in watched.comparison.rows if row.name in (SPARCODE, TWO_TOWER))
    # Epoch 0 of the joint stage is told as well.
    assert len(watched.epochs) == trained + 1


def test_a_time_limit_ends_every_training_and_the_table_says_so(comparison: ComparedRun) -> None:
    assert comparison.cut_short == ()
    short = compare(tiny_data(), CONFIG, K, time_limit=0.0)
    assert len(short.rows) == len(comparison.rows)
    assert "The time limit ended the training of SparCode after 0 of at most" in comparison_text(short)
    assert [sentence.partition(" after ")[0].rpartition(" of ")[2] for sentence in comparison_record(short)["cut_short"]] == [
        "the backbone",
        "SparCode",
        "two-tower",
    ]


def test_a_time_limit_ends_the_search_of_pair_features(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of({"pair_features": "counts"}, {"kind": "items"}, {"epochs": 1})
    short, shapes = compare(tiny_data(), config, K, time_limit=0.0), pair_fit._Search.recall
    assert "the time limit ended the fit of the pair features" in short.cut_short
    asked: list = []
    monkeypatch.setattr(pair_fit._Search, "recall", lambda search, shape: (asked.append(shape), shapes(search, shape))[1])
    models = Models(tiny_split(), config, time_limit=0.0)
    assert models.get("sparcode").model.pairs.shape.tolist() == list(PairShape())
    assert asked == [PairShape()]


def test_item_lists_are_fitted_as_a_step_of_their_own() -> None:
    steps: list[Step] = []
    config = changed({"item_lists": "ease"}, training={"epochs": 1, "joint_epochs": 1})
    models = Models(tiny_split(), config, on_step=steps.append)
    index, lists = models.get("index").model, models.get("sparcode").model.lists
    assert [step.name for step in steps] == ["training the backbone", "joint training", "fitting the item lists", "building the index"]
    assert lists.choice[0] > 0
    assert index.codes[index.codes >= lists.first_code].tolist() == lists.listed().tolist()
    short = compare(tiny_data(), config, K, time_limit=0.0)
    assert "the time limit ended the fit of the item lists" in short.cut_short


def test_stopping_ends_it_without_a_table() -> None:
    steps: list[Step] = []
    with pytest.raises(ComparisonStopped, match="joint training"):
        compare(tiny_data(), CONFIG, K, steps.append, should_stop=lambda: len(steps) >= 1)


def test_a_bad_k_is_refused_before_training() -> None:
    with pytest.raises(ValueError, match="k"):
        compare(tiny_data(), CONFIG, 0)


def test_the_text_has_the_table_and_says_that_the_data_is_synthetic(comparison: ComparedRun) -> None:
    text = comparison_text(comparison)
    lines = text.splitlines()
    assert lines[0].split() == ["model", "Recall@10", "NDCG@10", "Precision@10", "p50", "latency", "index", "size", "training"]
    assert [line.split("  ")[0] for line in lines[2:8]] == [row.name for row in comparison.rows]
    assert f"{comparison.rows[0].recall:.4f}" in lines[2]
    assert "SYNTHETIC" in text
    assert "96 users to train, 12 to validate, 12 to test (seed 0)" in text
    less = comparison_text(comparison._replace(left_out={EASE_NAME: "its matrix would need 9 TB"}, dropped={"rows without an item": 1234}))
    assert "EASE is left out: its matrix would need 9 TB" in less
    assert "left out: 1,234 rows without an item" in less


def test_the_record_is_plain_json_with_exact_numbers(comparison: ComparedRun) -> None:
    record = json.loads(json.dumps(comparison_record(comparison), allow_nan=False))
    assert [row["recall"] for row in record["rows"]] == [row.recall for row in comparison.rows]
    assert record["config"] == CONFIG.model_dump(mode="json")
    assert record["check"]["recall_through_index"] == record["check"]["recall_by_direct_scoring"]
    assert record["data"]["synthetic"] is True


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_994, "999.99 kB"),
        (999_996, "1.00 MB"),
        (2_340_000_000, "2.34 GB"),
        (5e15, "5000.00 TB"),
    ],
)
def test_bytes_are_written_as_people_read_them(n_bytes: int, text: str) -> None:
    assert readable_bytes(n_bytes) == text


def test_a_table_is_aligned() -> None:
    assert text_table(("name", "n"), [("a", "12345"), ("longer", "1")]).splitlines() == [
        "name        n",
        "------  -----",
        "a       12345",
        "longer      1",
    ]


def test_numbers_json_cannot_hold_become_null() -> None:
    assert without_nan({"a": [float("nan"), 1.5], "b": {"c": float("inf")}, "d": "nan"}) == {"a": [None, 1.5], "b": {"c": None}, "d": "nan"}


def test_two_tower_may_have_settings_of_its_own() -> None:
    config = changed(training={"epochs": 1, "joint_epochs": 1})
    wide = changed(model={"token_dim": 16}, training={"epochs": 2, "joint_epochs": 1})
    rows = {row.name: row for row in compare(tiny_data(), config, k=5, two_tower_config=wide).rows}
    assert rows[TWO_TOWER].size_bytes == tiny_data().n_items * 17 * 4
    assert rows[TWO_TOWER].epochs == 3
    with pytest.raises(ValueError, match="no side features"):
        compare(tiny_data(), config, two_tower_config=changed(model={"side_features": "users"}))


@pytest.mark.parametrize("postings", ["blocked", "quantized"])
def test_the_settings_decide_how_the_index_is_served(postings: str) -> None:
    config = changed(training={"epochs": 1, "joint_epochs": 1}, index={"postings": postings})
    made = compare(tiny_data(), config, k=5)
    blocks = as_served(made.run.index, Cut(made.threshold), postings)
    # Codes that only test queries have were computed, and count.
    assert made.rows[0].size_bytes >= sum(blocks.size_bytes().values())
    assert isinstance(made.run.index, InvertedIndex)
    if postings == "blocked":
        assert made.rows[0].recall == made.check.direct
