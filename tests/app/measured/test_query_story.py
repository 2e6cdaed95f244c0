from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

from app.measured.item_names import ItemNames, for_chart, for_markdown
from app.measured.measured_index import MeasuredIndex, ModelFacts, measure
from app.measured.query_story import STRONGEST, TOP, QueryStory, as_query, query_story
from app.measured.query_words import answer, change, list_name, marks, second_line
from app.query.columns import query_columns
from sparcode.comparison.peers import ALL_TO_ALL
from sparcode.data.interactions import Histories, Interactions
from sparcode.retrieval.exact import ExactRetriever
from tests.model.test_item_lists import with_lists
from tests.tiny import CONFIG, changed, tiny_backbone, tiny_data, tiny_model, tiny_split

STOP = 20


@cache
def measured(has_lists: bool = False) -> MeasuredIndex:
    config = changed({"item_lists": "ease"}) if has_lists else CONFIG
    facts = ModelFacts("preview", config, (), lambda: 0.0, False)
    return measure(with_lists(config) if has_lists else tiny_model(), facts, tiny_split(), lambda _: None, lambda: None)


def story(row: int = 0, without: int = 0, stop: int = STOP, has_lists: bool = False) -> QueryStory:
    test = tiny_split().test
    query = as_query(test.queries[row][without:], test.queries.n_items)
    return query_story(measured(has_lists), stop, query, test.targets[row], {ALL_TO_ALL: tiny_backbone()})


def names() -> ItemNames:
    return ItemNames(tiny_data())


@pytest.mark.parametrize("has_lists", [False, True])
def test_the_story_is_that_of_the_index_at_the_stop(has_lists: bool) -> None:
    told, index = story(has_lists=has_lists), measured(has_lists)
    retriever = index.explorer.retriever_at(float(index.stops[STOP]))
    found = retriever.retrieve(told.query, TOP)
    np.testing.assert_array_equal(told.top, found.item_ids[0])
    np.testing.assert_array_equal(told.explained.scores, found.scores[0])
    np.testing.assert_array_equal(told.rivals[ALL_TO_ALL], ExactRetriever(tiny_backbone()).retrieve(told.query, TOP).item_ids[0])
    assert told.hits.tolist() == [item in told.targets.tolist() for item in told.top.tolist()]
    assert told.agreement(ALL_TO_ALL) == len(set(told.top.tolist()) & set(told.rivals[ALL_TO_ALL].tolist()))
    totals = told.explained.contributions.sum(0)[told.order]
    assert np.all(np.diff(totals) <= 0)
    owners = [told.list_item(one) for one in told.explained.lists]
    assert set(owners) - {-1} == (set(told.query.items.tolist()) - {0} if has_lists else set())


def test_the_answer_counts_what_the_strongest_codes_explain() -> None:
    told = story()
    contributions = told.explained.contributions
    strongest = np.argsort(-contributions.sum(0), kind="stable")[:STRONGEST]
    expected = sum(row[strongest].sum() >= row.sum() / 2 for row in contributions)
    assert told.n_explained == expected
    said = answer(told)
    assert said.startswith(f"The 3 strongest of this query's {len(told.explained.lists)} lists")
    assert f"of {expected} of its top 10 items" in said
    assert f"**{told.hits.sum()} of 10** are hits, of {len(told.targets)} items" in second_line(told)
    assert f"**{told.agreement(ALL_TO_ALL)} of 10** with all-to-all" in second_line(told)
    alone = told._replace(targets=np.zeros(0, np.int64), rivals={})
    assert second_line(alone) == ""


def test_a_threshold_above_all_scores_finds_nothing_and_says_so() -> None:
    index = measured()
    told = story()
    above = index.explorer.retriever_at(float(index.explorer.index.scores.max()))
    empty = told._replace(top=told.top[:0], explained=above.explain_query(told.query, told.top[:0]))
    assert "nothing is found" in answer(empty)
    assert empty.n_explained == 0
    assert json.loads(query_columns(empty, index.stops, "v", empty.order))["columns"]["query_part_0"][0] == []


def test_removing_an_item_tells_what_leaves_and_comes() -> None:
    before, after, called = story(), story(without=5), names()
    said = change(before, after, called)
    left, entered = set(before.top.tolist()) - set(after.top.tolist()), set(after.top.tolist()) - set(before.top.tolist())
    assert said.startswith("**Without 5 items**")
    assert left
    assert f"of the top 10, {len(left)} out (" in said
    assert all(for_markdown(called.title(item)) in said for item in left | entered)
    assert for_markdown(called.title(int(before.query.items[0]))) in change(before, story(without=1), called)
    assert "the same items stay on top." in change(before, before._replace(query=after.query), called)


def test_marks_have_a_symbol_and_a_word() -> None:
    told = story()._replace(
        top=np.array([4, 7, 9]), rivals={"two-tower": np.array([7, 1]), ALL_TO_ALL: np.array([7, 9])}, targets=np.array([7, 1])
    )
    assert marks(told, 4, "") == "✗ alone"
    assert marks(told, 7, "") == "★ hit, ✓ two-tower and all-to-all"
    assert marks(told, 9, "") == "✓ all-to-all"
    assert marks(told, 9, ALL_TO_ALL) == "✓ SparCode's 3."
    assert marks(told, 1, "two-tower") == "★ hit, ✗ not SparCode's"
    assert marks(told._replace(rivals={}), 4, "") == ""


@pytest.mark.parametrize("has_lists", [False, True])
def test_the_columns_of_a_stop_are_those_of_the_story_at_that_stop(has_lists: bool) -> None:
    told, index = story(has_lists=has_lists), measured(has_lists)
    shown = told.order[:4]
    sent = json.loads(query_columns(told, index.stops, "v 1", shown))
    assert sent["version"] == "v 1"
    assert sent["stops"] == list(range(len(index.stops)))
    for stop in (0, STOP, 60):
        moved = told.explained.at(float(index.stops[stop]))
        columns = {name: column[stop] for name, column in sent["columns"].items()}
        assert columns["query_lengths"] == moved.lengths[shown].tolist()
        assert columns["query_lengths_title"].startswith(f"{moved.lengths.sum():,} scores of {len(moved.lists)} lists")
        assert columns["tau"] == pytest.approx(float(index.stops[stop]), rel=1e-5)
        parts = sum(np.array(column) for name, column in columns.items() if name.startswith("query_part_"))
        np.testing.assert_allclose(parts, moved.scores, rtol=1e-3, atol=1e-5)


def test_lists_are_named_by_code_or_by_the_item_they_belong_to() -> None:
    plain, listed = story(), story(has_lists=True)
    first = plain.explained.lists[0]
    assert list_name(plain, first, names()) == f"code {first.code}"
    assert list_name(plain, first._replace(served_by=first.code + 1), names()) == f"code {first.code} (served by {first.code + 1})"
    of_item = next(one for one in listed.explained.lists if listed.list_item(one) >= 0)
    assert list_name(listed, of_item, names()) == f"item list: {names().title(listed.list_item(of_item))}"


def catalogue(titles: list[str], genres: list[str] | None = None) -> ItemNames:
    items = {"title": titles} | ({} if genres is None else {"genres": genres})
    ids = np.array([f"id{number}" for number in range(len(titles))])
    one = Histories.from_lists([[0]], len(titles))
    return ItemNames(Interactions(one, np.array([0]), ids, pd.DataFrame(items), "made up"))


def test_items_are_found_by_all_words_of_title_genre_or_id() -> None:
    called = catalogue(["Quiet River", "River of Stars", "id2"], ["Drama", "Sci-Fi|War", ""])
    assert called.search("river", 9) == [0, 1]
    assert called.search("RIVER", 1) == [0]
    assert called.search("war river", 9) == [1]
    assert called.search("id2", 9) == [2]
    assert called.search("  ", 9) == called.search("nothing", 9) == []
    assert called.title(2) == "item id2"
    assert len(catalogue(["x" * 99]).title(0)) == 44


def test_titles_of_strangers_have_no_effect() -> None:
    assert for_markdown("*a* [b](c) <d> $e$") == r"\*a\* \[b\]\(c\) \<d\> \$e\$"
    assert for_chart("<b>a</b> & 'c'") == "&lt;b&gt;a&lt;/b&gt; &amp; 'c'"
