from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import Cut
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.service.worker import ServiceSettings, load_answers
from tests.fakes import TableModel
from tests.runs.test_store import tiny_run
from tests.service.conftest import LIMITS, tiny_answers, tiny_retriever
from tests.tiny import tiny_model

I = 80
HISTORIES = [[3, 7], [12], [5, 1, 40, 22]]


def ids(items: list[int]) -> list[str]:
    return [f"item-{item}" for item in items]


def expected(threshold: float | None = None, only: ItemFilter | None = None, k: int = 10) -> list[dict]:
    found = tiny_retriever(threshold).retrieve(Histories.from_lists(HISTORIES, I), k, only)
    rows = zip(found.item_ids.tolist(), found.scores.tolist(), strict=True)
    return [{"item_ids": ids([i for i in items if i >= 0]), "scores": [s for s in scores if s > -np.inf]} for items, scores in rows]


def test_a_batch_and_single_queries_are_answered_as_the_library_answers() -> None:
    answers = tiny_answers()
    asked = [ids(history) for history in HISTORIES]
    assert answers.retrieve({"queries": asked}) == {"results": expected()}
    assert [answers.retrieve({"items": query})["results"][0] for query in asked] == expected()
    assert answers.retrieve({"queries": [{"items": query} for query in asked], "k": 3}) == {"results": expected(k=3)}


def test_a_threshold_and_filters_are_those_of_the_library() -> None:
    answers, asked = tiny_answers(), [ids(history) for history in HISTORIES]
    higher = tiny_model().threshold + 0.3
    for _ in range(2):
        assert answers.retrieve({"queries": asked, "threshold": higher}) == {"results": expected(higher)}
    assert expected(higher) != expected()
    allow, deny = list(range(0, I, 2)), [4, 10]
    only = ItemFilter(I, np.array(allow), np.array(deny))
    assert answers.retrieve({"queries": asked, "allow": ids(allow), "deny": ids(deny)}) == {"results": expected(only=only)}
    assert all(not result["item_ids"] for result in answers.retrieve({"queries": asked, "allow": []})["results"])


def test_many_thresholds_are_not_all_kept() -> None:
    answers = tiny_answers()
    for step in range(30):
        answers.retrieve({"items": ids([3]), "threshold": tiny_model().threshold + step / 100})
    assert len(answers._at) <= 8


def test_an_explanation_adds_up_to_the_score_of_the_item() -> None:
    answers = tiny_answers()
    (best,) = answers.retrieve({"items": ids([3, 7]), "k": 1})["results"]
    told = answers.explain({"items": ids([3, 7]), "item": best["item_ids"][0]})
    assert told["score"] == best["scores"][0]
    parts = [part["contribution"] for part in told["contributions"]]
    assert parts == sorted(parts, reverse=True)
    assert sum(parts) == pytest.approx(told["score"], rel=1e-5)
    assert (told["item_id"], told["is_seen"]) == (best["item_ids"][0], False)
    assert answers.explain({"items": ids([3, 7]), "item": "item-3"})["is_seen"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "the history is empty"),
        ({"items": "item-3"}, "must be a list of item ids"),
        ({"items": ["item-3", True]}, "must be a list of item ids"),
        ({"items": ["nothing"]}, "unknown item id 'nothing'; the run knows 80 items, such as 'item-0'"),
        ({"items": ["item-3"], "about": {"age": 3}}, "trained without side features"),
        ({"items": ["item-3"], "k": 0}, '"k" must be a whole number from 1 to 20; got 0'),
        ({"items": ["item-3"], "k": 21}, "from 1 to 20; got 21"),
        ({"items": ["item-3"], "k": True}, "got True"),
        ({"items": ["item-3"], "queries": []}, "not both"),
        ({"queries": []}, "a list of 1 to 5 queries; got 0"),
        ({"queries": [["item-3"]] * 6}, "got 6"),
        ({"queries": 5}, "got int"),
        ({"queries": [["item-3"], []]}, "query 2: the history is empty"),
        ({"items": ["item-3"], "threshold": "0"}, "\"threshold\" must be a number; got '0'"),
        ({"items": ["item-3"], "threshold": 10**400}, "must be a finite number"),
        ({"items": ["item-3"], "threshold": -1000}, "threshold must be at least the index's floor"),
        ({"items": ["item-3"], "allow": "item-3"}, '"allow" must be a list of item ids'),
        ({"items": ["item-3"], "deny": ["nothing"]}, "deny: unknown item id 'nothing'"),
        ({"items": ["item-3"], "depth": 3}, "unknown field 'depth'; allowed are items, about, queries, k, threshold, allow, deny"),
    ],
)
def test_what_is_wrong_is_named(asked: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny_answers().retrieve(asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"items": ["item-3"]}, '"item" must be the id of an item; got None'),
        ({"items": ["item-3"], "item": "nothing"}, "unknown item id 'nothing'"),
        ({"items": ["item-3"], "item": "item-3", "k": 3}, "unknown field 'k'"),
        ({"item": "item-3"}, "the history is empty"),
    ],
)
def test_what_is_wrong_with_an_explanation_is_named(asked: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny_answers().explain(asked)


def test_computed_lists_are_forgotten_beyond_their_limit() -> None:
    made: list[SparseRetriever] = []
    model = TableModel(np.random.default_rng(0).random((I, I)))

    def make() -> SparseRetriever:
        index = build_index(model, np.arange(1), -np.inf, 16)
        made.append(SparseRetriever(model, index, 0.5, n_threads=1))
        return made[-1]

    answers = tiny_answers(LIMITS._replace(computed_bytes=5 * I * 8), make)
    for item in range(1, 41):
        (found,) = answers.retrieve({"items": ids([item]), "k": 5})["results"]
        scores = np.where(np.arange(I) == item, -1, model.table[item])
        assert found["item_ids"] == ids(np.argsort(-scores, kind="stable")[:5].tolist())
    assert 4 < len(made) < 20
    assert all(one.computed_bytes < 8 * I * 8 for one in made)


def test_what_one_batch_computed_beyond_the_limit_is_not_kept_until_the_next() -> None:
    model = TableModel(np.random.default_rng(0).random((I, I)))
    answers = tiny_answers(
        LIMITS._replace(computed_bytes=2 * I * 8),
        lambda: SparseRetriever(model, build_index(model, np.arange(1), -np.inf, 16), 0.5, n_threads=1),
    )
    assert len(answers.retrieve({"queries": [ids([item]) for item in range(1, 6)]})["results"]) == 5
    assert answers._retriever.computed_bytes < 8 * I


def test_unseen_codes_are_counted_up_to_a_limit_whatever_becomes_of_them() -> None:
    made: list[SparseRetriever] = []
    model = TableModel(np.random.default_rng(0).random((I, I)))

    def make() -> SparseRetriever:
        made.append(SparseRetriever(model, build_index(model, np.arange(2), -np.inf, 16), 0.5, "nearest", n_threads=1))
        return made[-1]

    answers = tiny_answers(LIMITS._replace(unseen_codes=10), make)
    for item in range(2, 62):
        # Each threshold has a count of its own.
        (found,) = answers.retrieve({"items": ids([item]), "threshold": [0.5, 0.6][item % 2], "k": 1})["results"]
        assert len(found["item_ids"]) == 1
    assert len(made) == 6
    assert sum(one.unseen_codes for one in (made[-1], *answers._at.values())) <= 10


def test_refusals_quote_no_more_than_a_line() -> None:
    long = "x" * 5000
    cases = (
        {"items": [long]},
        {long: 1},
        {"items": ["item-3"], "k": long},
        {"items": ["item-3"], "threshold": long},
        {"items": ["item-3"], "threshold": [[1] * 5000]},
        {"items": ["item-3"], "deny": [long]},
        {"items": ["item-3"], "about": {long: ""}},
    )
    for asked in cases:
        with pytest.raises(ValueError, match=r"x{80}|1, 1, 1") as error:
            tiny_answers().retrieve(asked)
        assert len(str(error.value)) < 250


def test_a_worker_has_the_run_with_its_index_mapped(run_folder: Path) -> None:
    settings = ServiceSettings(run_folder, tiny_run().run_id, None, run_folder, Cut(tiny_model().threshold), "compute", LIMITS, 1)
    asked = {"queries": [ids(history) for history in HISTORIES]}
    assert load_answers(settings).retrieve(asked) == {"results": expected()}
    with pytest.raises(ValueError, match=f"holds the run {tiny_run().run_id} now; another is being served"):
        load_answers(settings._replace(run_id="another"))


def test_a_run_is_named_and_warm() -> None:
    answers = tiny_answers()
    answers.warm()
    assert (answers.run_id, answers.n_items) == (tiny_run().run_id, I)
