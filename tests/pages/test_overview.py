from __future__ import annotations

import threading

import pytest
from streamlit.testing.v1 import AppTest

from app import studio as studio_module
from app.jobs import viewers as viewers_module
from app.jobs.job import JobState
from app.models import backbones as backbones_module
from app.studio import COMPARISON_KEY
from tests.app import open_studio
from tests.fakes import gated, raising
from tests.pages.opened_pages import click, ended, figures, labels, mounted, opened, own_backbone, settled, studio, visited

pytestmark = pytest.mark.usefixtures("tiny_app")
START = "Train and compare the models"


def compared(app: AppTest) -> AppTest:
    """The page after a comparison."""
    click(app, START)
    ended(COMPARISON_KEY)
    return app.run()


def test_the_page_says_what_the_data_is_and_links_to_the_other_pages() -> None:
    app = opened()
    assert not app.exception
    data = studio().interactions
    shown = figures(app)
    assert (shown["Users"], shown["Items"], shown["Interactions"]) == ("120", "80", f"{data.n_interactions:,}")
    assert any("96 train the models, 12 choose between epochs, and 12 are kept" in text.value for text in app.markdown)
    assert [link.proto.page for link in app.get("page_link")] == ["explorer", "train", "compare", "scale", "query", "lessons"]
    assert not app.table


def test_the_comparison_runs_when_asked_and_shows_every_model() -> None:
    app = compared(opened())
    assert not app.exception
    (table,) = [element.value for element in app.table]
    comparison = studio().comparison
    assert table["model"].tolist() == [row.name for row in comparison.rows]
    assert table["Recall@50"].tolist() == [f"{row.recall:.3f}" for row in comparison.rows]
    assert START not in labels(app)
    recall = {row.name: row.recall for row in comparison.rows}
    assert any(f"**{recall['SparCode (index)'] / recall['all-to-all']:.0%}**" in text.value for text in app.markdown)
    # As on data with too few users.
    studio().comparison = comparison._replace(rows=tuple(row._replace(recall=0.0) for row in comparison.rows))
    assert not app.run().exception


def test_a_comparison_wants_its_backbone_whatever_another_tab_did(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_gate = threading.Event()
    monkeypatch.setattr(backbones_module, "train_backbone", gated(backbones_module.train_backbone, opened_gate))
    app, closed = visited("overview.py"), threading.Event()
    owner = app.session_state["owner"]
    studio().viewers.enter("closed later", owner, lambda: not closed.is_set())
    studio().viewers.show("closed later", "", frozenset({own_backbone()}))
    click(app, START)
    closed.set()
    monkeypatch.setattr(viewers_module, "LEFT_SECONDS", 0.0)
    assert not studio().viewers.has_left(owner, own_backbone(), 0.0)
    opened_gate.set()
    settled(app)


def test_a_comparison_that_another_visitor_wants_goes_on_after_a_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(studio_module, "compare", gated(studio_module.compare, go_on))
    app = opened()
    click(app, START)
    studio().start_comparison("another")
    assert "Cancel" in labels(app.run())
    click(app, "Cancel")
    assert "Cancel" not in labels(app)
    assert "Another visitor wants it, who alone can cancel it." in [text.value for text in app.caption]
    go_on.set()
    assert ended(COMPARISON_KEY).state is JobState.DONE


def test_a_failed_comparison_says_why_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_module, "compare", raising(ValueError("the peers did not come")))
    app = compared(opened())
    assert "the peers did not come" in app.error[0].value
    assert START in labels(app)


def test_a_failed_backbone_is_trained_again_with_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = backbones_module.train_backbone
    monkeypatch.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
    app = opened()
    assert ended(own_backbone()).error == "division by zero"
    monkeypatch.setattr(backbones_module, "train_backbone", trained)
    settled(compared(app)).run()
    assert len(app.table) == 1


def paths(app: AppTest) -> list[dict[str, object]]:
    """The stages of the story; empty where there is none."""
    return next((given["stages"] for given in mounted(app) if "stages" in given), [])


def test_a_query_of_the_run_is_followed_on_both_paths() -> None:
    app = opened()
    assert not paths(app)
    assert any("once this run has a model" in text.value for text in app.caption)
    assert open_studio.settled(studio(), studio().config).measured is not None
    app = settled(visited("overview.py"))
    assert not app.exception
    first = paths(app)
    n_items = len(studio().split.test.queries[0])
    assert first[0]["sparcode"]["text"].startswith(f"The same {n_items} item")
    assert "not trained" in first[1]["two_tower"]["text"]
    app.session_state["story_user"] = 1
    assert paths(app.run()) != first
