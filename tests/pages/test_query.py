from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.measured.query_story import TOP, as_query
from app.measured.query_words import LEGEND
from app.models import backbones as backbones_module
from app.query.panel import STEPS, TRAIN_TWO_TOWER
from app.session.settings import KEPT
from sparcode.retrieval.exact import ExactRetriever
from tests.fakes import gated
from tests.pages.opened_pages import charts, click, config_of, labels, markdown, opened, setting_keys, settled, slider, studio, visited

PAGE = "query.py"
TITLES = [
    "Tokens and their nearest codes",
    "Its posting lists, cut at tau",
    "Where tau cuts the strongest lists",
    "Score of each item, by list",
]

pytestmark = pytest.mark.usefixtures("tiny_app")


def page(**address: str) -> AppTest:
    app = settled(opened(PAGE, k="8", **address))
    assert not app.exception
    return app


def history(app: AppTest) -> object:
    """The buttons of the history's items."""
    (found,) = [group for group in app.get("button_group") if str(group.key).startswith("query-kept-")]
    return found


def expected_top(items: np.ndarray, stop: int) -> list[str]:
    """Titles that the index returns."""
    measured = studio().indexes.best(config_of(k="8"))
    query = as_query(items, studio().interactions.n_items)
    found = measured.explorer.retriever_at(float(measured.stops[stop])).retrieve(query, TOP).item_ids[0]
    return [studio().item_names.title(item) for item in found[found >= 0].tolist()]


def titles_in(app: AppTest, column: str) -> list[str]:
    (table,) = [element.value for element in app.table]
    return [cell.split("**")[1].replace("\\", "") for cell in table[column] if cell]


def test_a_test_users_path_answers_first_and_shows_every_stage() -> None:
    app = page()
    assert app.markdown[0].value.startswith("#### The 3 strongest of this query's ")
    assert "are hits, of" in app.markdown[1].value
    assert list(charts(app)) == TITLES
    assert titles_in(app, "SparCode") == expected_top(studio().split.test.queries[0], KEPT.options.index(KEPT.start))
    assert any(text.value == LEGEND for text in app.caption)
    assert {"m", "k", "p", "t"} <= set(setting_keys(app.select_slider))


def test_all_to_all_stands_beside_it_and_two_tower_once_it_is_trained() -> None:
    app = page()
    query = studio().split.test.queries.take(np.array([0]))
    found = ExactRetriever(studio().backbones.of(config_of(k="8")).model).retrieve(query, TOP).item_ids[0]
    assert titles_in(app, "all-to-all") == [studio().item_names.title(item) for item in found.tolist()]
    assert "two-tower" not in app.table[0].value
    app = settled(click(app, TRAIN_TWO_TOWER))
    assert TRAIN_TWO_TOWER not in labels(app)
    two_tower = studio().serving.known_two_tower(config_of(k="8")).model
    found = ExactRetriever(two_tower).retrieve(query, TOP).item_ids[0]
    assert titles_in(app, "two-tower") == [studio().item_names.title(item) for item in found.tolist()]
    assert "with two-tower" in app.markdown[1].value


def test_taking_an_item_out_tells_what_changes_and_putting_it_back_undoes_it() -> None:
    app = page()
    before, items = app.markdown[0].value, studio().split.test.queries[0]
    assert "Take an item out" in app.markdown[2].value
    kept = history(app)
    kept.set_value(list(kept.value)[3:]).run()
    assert not app.exception
    assert app.markdown[2].value.startswith("**Without ")
    assert titles_in(app, "SparCode") == expected_top(items[3:], KEPT.options.index(KEPT.start))
    assert app.query_params["without"] == ".".join(map(str, items[:3].tolist()))
    history(app).set_value(items.tolist()).run()
    assert app.markdown[0].value == before
    assert "without" not in app.query_params


def test_a_link_opens_a_history_without_what_was_taken_out() -> None:
    items = studio().split.test.queries[1].tolist()
    app = page(user="1", without=f"{items[0]}.{items[2]}.x")
    assert history(app).value == [items[1], *items[3:]]
    assert app.query_params["without"] == f"{items[0]}.{items[2]}"
    assert "**Without " in app.markdown[2].value


def test_another_user_has_another_history_and_one_beyond_the_last_is_told() -> None:
    app = page(user="2")
    assert sorted(history(app).value) == sorted(studio().split.test.queries[2].tolist())
    app = page(user="99999")
    last = len(studio().split.test.queries) - 1
    assert any(f"there is no number 99999, so {last} is shown" in text.value for text in app.caption)
    click(app, "Another")
    assert not app.exception
    assert 0 <= app.session_state["user"] <= last


def test_a_profile_is_composed_by_searching_and_stands_in_the_address() -> None:
    app = page(whose="composed")
    assert "Which lists would serve" in app.markdown[0].value
    title = studio().item_names.titles[7]
    app.text_input[0].set_value(title).run()
    found = [group for group in app.get("button_group") if str(group.key).startswith("query-found-")]
    found[0].set_value(7).run()
    assert not app.exception
    assert app.query_params["items"] == "7"
    assert app.query_params["whose"] == "composed"
    assert app.markdown[0].value.startswith("#### ")
    assert "are hits" not in markdown(app)
    assert titles_in(app, "SparCode") == expected_top(np.array([7]), KEPT.options.index(KEPT.start))
    click(app, "Clear")
    assert "items" not in app.query_params
    assert "Which lists would serve" in app.markdown[0].value


def test_a_link_opens_a_composed_profile_without_what_cannot_be() -> None:
    n_items = studio().interactions.n_items
    app = page(whose="composed", items=f"3.9.3.x.-1.{n_items}.99999999999")
    assert history(app).value == [3, 9]
    assert app.query_params["items"] == "3.9"


def test_words_without_an_item_are_answered() -> None:
    app = page(whose="composed")
    app.text_input[0].set_value("no such words").run()
    assert any("No other item has all of these words" in text.value for text in app.caption)


def test_the_threshold_moves_lists_and_scores_by_what_was_sent_ahead() -> None:
    low, high = "50", KEPT.options[70]
    app = page(keep=low)
    sent = json.loads(slider(app)["curve"])
    ahead = sent["columns"]["query_lengths_title"]
    assert len(ahead) == len(KEPT.options)
    drawn = charts(app)
    assert drawn[TITLES[1]]["layout"]["title"]["text"] == ahead[0]
    moved = page(keep=high)
    assert charts(moved)[TITLES[1]]["layout"]["title"]["text"] == ahead[70]
    assert charts(moved)[TITLES[0]]["data"] == drawn[TITLES[0]]["data"]
    assert charts(moved)[TITLES[2]]["data"] != drawn[TITLES[2]]["data"]
    assert titles_in(moved, "SparCode") == expected_top(studio().split.test.queries[0], 70)


@pytest.mark.parametrize(
    ("step", "shown"), [("history", []), ("tokens", TITLES[:1]), ("lists", TITLES[1:3]), ("scores", TITLES[3:]), ("top", [])]
)
def test_a_step_shows_its_stage_alone(step: str, shown: list[str]) -> None:
    app = page(step=step)
    assert list(charts(app)) == shown
    assert bool(app.table) == (step == "top")
    assert f"**{STEPS[step]}.**" in markdown(app)


def test_next_and_back_play_the_path() -> None:
    app = page()
    for step in list(STEPS)[1:]:
        app.button("query-next").click().run()
        assert app.query_params["step"] == step
    app.button("query-back").click().run()
    assert app.query_params["step"] == "scores"


def test_the_numbers_behind_the_charts_are_shown_on_request() -> None:
    app = page()
    app.session_state["query-numbers"] = True
    app.run()
    assert not app.exception
    tokens, lists, added = [element.value for element in app.dataframe]
    n_tokens = config_of(k="8").model.n_tokens
    assert tokens["token"].nunique() == n_tokens
    assert tokens.groupby("token")["weight of the code"].sum().to_numpy() == pytest.approx(np.ones(n_tokens), rel=1e-4)
    np.testing.assert_allclose(added.drop(columns="score").sum(axis=1), added["score"], rtol=1e-4)
    assert added.drop(columns="score").sum().sum() == pytest.approx(lists["adds to the top items"].sum(), rel=1e-4)


def test_an_address_that_asks_for_the_impossible_is_answered() -> None:
    app = visited(PAGE, step="9")
    assert "asks for step = 9" in app.warning[0].value


def test_a_backbone_being_trained_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_gate = threading.Event()
    monkeypatch.setattr(backbones_module, "train_backbone", gated(backbones_module.train_backbone, opened_gate))
    app = visited(PAGE, encoder="gru", k="8")
    assert "prepared" in app.markdown[0].value
    app = click(app, "Cancel training")
    opened_gate.set()
    assert "Try again" in labels(app.run())
    assert not app.exception
