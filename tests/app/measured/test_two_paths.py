from __future__ import annotations

import re
from functools import cache

import numpy as np

from app.measured.item_names import ItemNames
from app.measured.query_story import TOP, QueryStory
from app.measured.query_words import HIT
from app.measured.two_paths import LATEST, Lane, Stage, stages
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import SPARCODE, TWO_TOWER
from sparcode.model.initialisation import initialise
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.exact import ExactRetriever
from tests.app.measured.test_query_story import story
from tests.tiny import CONFIG, tiny_data


@cache
def two_tower() -> TwoTowerModel:
    model = TwoTowerModel(tiny_data().n_items, CONFIG.model)
    initialise(model, 0)
    return model.eval()


def followed(row: int = 0, known: bool = True, **options: object) -> tuple[QueryStory, tuple[Stage, ...]]:
    told = story(row, **options)
    if known:
        found = ExactRetriever(two_tower()).retrieve(told.query, TOP).item_ids[0]
        told = told._replace(rivals={**told.rivals, TWO_TOWER: found[found >= 0].astype(np.int64)})
    by_user = np.array([0.1, 0.5, np.nan, 0.3])
    rows = {SPARCODE: Measurement(SPARCODE, "", 0.3, 0.2, 0.1, 50, 4, 1000, recall_by_query=by_user)}
    return told, stages(told, ItemNames(tiny_data()), CONFIG, two_tower() if known else None, rows)


def numbers(lane: Lane) -> list[int]:
    return [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*", lane.text)]


def test_stages_tell_the_numbers_of_the_query() -> None:
    told, (history, encoding, meeting, search, answer) = followed()
    items = told.query[0]
    assert numbers(history.sparcode)[0] == numbers(history.two_tower)[0] == len(items)
    titles = ItemNames(tiny_data())
    assert [chip.label for chip in history.sparcode.chips] == [titles.title(item) for item in items[::-1][:LATEST].tolist()]
    assert len(encoding.two_tower.strips) == 1
    assert len(encoding.sparcode.strips) == CONFIG.model.n_tokens == numbers(encoding.sparcode)[0]
    largest = np.abs(told.trace.vectors).max()
    np.testing.assert_allclose(encoding.sparcode.strips, told.trace.vectors / largest, atol=1e-3)
    assert numbers(meeting.sparcode)[0] == len(told.explained.lists)
    assert meeting.sparcode.chips[0].strength == 1.0
    stored = sum(len(one.item_ids) for one in told.explained.lists)
    assert numbers(search.sparcode) == [len(told.explained.lists), int(told.explained.lengths.sum()), stored]
    # What was cut is missed.
    assert search.sparcode.text.endswith("nothing above the threshold is missed.")
    assert numbers(search.two_tower)[0] == tiny_data().n_items
    assert numbers(answer.sparcode)[:3] == [int(told.hits.sum()), TOP, len(told.targets)]


def test_hits_are_starred_and_recall_has_its_standard_error() -> None:
    told, found = followed(1)
    answer = found[-1]
    assert [HIT in chip.label for chip in answer.sparcode.chips] == told.hits[: len(answer.sparcode.chips)].tolist()
    hits = np.isin(told.rivals[TWO_TOWER], told.targets)
    assert numbers(answer.two_tower)[0] == hits.sum()
    assert f"Recall@50 0.300 ± {np.std([0.1, 0.5, 0.3], ddof=1) / np.sqrt(3):.3f}" in answer.sparcode.text
    assert "Recall" not in answer.two_tower.text


def test_without_a_trained_two_tower_its_lane_says_so() -> None:
    _, found = followed(known=False)
    assert "not trained" in found[1].two_tower.text
    assert "Not known" in found[-1].two_tower.text
    assert not found[1].two_tower.strips
    assert not found[-1].two_tower.chips


def test_item_lists_are_counted_apart_from_codes() -> None:
    told, found = followed(has_lists=True)
    of_items = sum(told.list_item(one) >= 0 for one in told.explained.lists)
    assert of_items > 0
    counted = numbers(found[2].sparcode)
    assert (counted[0], counted[2]) == (len(told.explained.lists) - of_items, of_items)
