from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from app import studio as studio_module
from app.models import backbones as backbones_module
from app.studio import COMPARISON_KEY
from tests.fakes import raising
from tests.pages.opened_pages import ENTRY, ended, figures, opened, own_backbone, settled, studio

pytestmark = pytest.mark.usefixtures("tiny_app")
START = "Train and compare the models"


def button(app: AppTest, label: str) -> Button:
    (found,) = [button for button in app.button if button.label == label]
    return found


def test_the_page_says_what_the_data_is_and_links_to_the_other_pages() -> None:
    app = opened()
    assert not app.exception
    data = studio().interactions
    shown = figures(app)
    assert (shown["Users"], shown["Items"], shown["Interactions"]) == ("120", "80", f"{data.n_interactions:,}")
    assert any("96 train the models, 12 choose between epochs, and 12 are kept" in text.value for text in app.markdown)
    assert [link.proto.page for link in app.get("page_link")] == ["explorer", "train", "compare"]
    assert not app.table


def test_the_comparison_runs_when_asked_and_shows_every_model() -> None:
    app = opened()
    button(app, START).click().run()
    ended(COMPARISON_KEY)
    app.run()
    assert not app.exception
    (table,) = [element.value for element in app.table]
    comparison = studio().comparison
    assert table["model"].tolist() == [row.name for row in comparison.rows]
    assert table["Recall@50"].tolist() == [f"{row.recall:.3f}" for row in comparison.rows]
    assert START not in [button.label for button in app.button]
    recall = {row.name: row.recall for row in comparison.rows}
    assert any(f"**{recall['SparCode (index)'] / recall['all-to-all']:.0%}**" in text.value for text in app.markdown)


def test_a_failed_comparison_says_why_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_module, "compare", raising(ValueError("the peers did not come")))
    app = opened()
    button(app, START).click().run()
    ended(COMPARISON_KEY)
    app.run()
    assert "the peers did not come" in app.error[0].value
    monkeypatch.undo()


def test_a_failed_backbone_is_trained_again_with_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = backbones_module.train_backbone
    monkeypatch.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
    app = opened()
    assert ended(own_backbone()).error == "division by zero"
    monkeypatch.setattr(backbones_module, "train_backbone", trained)
    button(app, START).click().run()
    ended(COMPARISON_KEY)
    settled(app)
    app.run()
    assert len(app.table) == 1


def test_data_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARCODE_DATA", "no-such-file.csv")
    app = AppTest.from_file(ENTRY).run()
    assert not app.exception
    assert "SPARCODE_DATA = no-such-file.csv cannot be used" in app.error[0].value
