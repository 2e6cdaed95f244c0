from __future__ import annotations

import threading

import pytest
from streamlit.testing.v1 import AppTest

from app.jobs import viewers as viewers_module
from app.jobs.job import JobState
from app.measured.rivals import rivals
from app.measured.serving import ServingMeasurements, ServingResult
from app.models import backbones as backbones_module
from app.studio import COMPARISON_KEY
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, SPARCODE
from tests.app import open_studio
from tests.fakes import gated, raising, served
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
    result = studio().serving.result(studio().config)
    rows = rivals(result.points)
    assert table["way to serve"].tolist() == [row.point.name for row in rows]
    assert table["Recall@50"].tolist() == [f"{row.point.recall:.3f}" for row in rows]
    assert table["median (ms)"].tolist() == [f"{row.point.p50_ms.middle:.3f}" for row in rows]
    assert START not in labels(app)
    recall = {row.point.name: row.point.recall for row in rows}
    assert any(f"**{recall[SPARCODE] / recall[ALL_TO_ALL]:.0%}**" in text.value for text in app.markdown)
    # The same measurement, on the page that has all of it.
    compare = visited("compare.py")
    (matrix,) = [element.value for element in compare.table]
    assert [cell.split()[0].strip("*") for cell in matrix["median time of a query"]] == table["median (ms)"].tolist()


def shown(monkeypatch: pytest.MonkeyPatch, *points: Measurement) -> AppTest:
    """The page of a measurement with these points."""
    result = ServingResult(points, (), studio().config, "preview", 1, False, "tiny", 100, "a machine", "2026-11-30T00:00:00+00:00", 1.0)
    monkeypatch.setattr(ServingMeasurements, "result", lambda self, config: result)
    return visited("overview.py")


def said(app: AppTest) -> str:
    return "\n".join(text.value for text in (*app.markdown, *app.caption))


def test_what_may_be_chance_follows_from_the_differences_of_the_same_users(monkeypatch: pytest.MonkeyPatch) -> None:
    opened()
    ours, near = served(SPARCODE, "20% of scores", 0.60, 0.1), served(FLAT, "", 0.605, 0.3, spread=0.1)
    app = shown(monkeypatch, ours, near, served(ALL_TO_ALL, "", 0.7, 2.0))
    assert app.table[0].value["against SparCode"].tolist() == ["+0.100 ± 0.000", "+0.005 ± 0.020", ""]
    assert "**86%** of the recall of the all-to-all model" in said(app)
    assert "**99%** (a difference within noise, ±0.020) of two-tower's" in said(app)
    assert "a smaller one may be chance, here one of up to 0.020." in said(app)
    assert "The catalogue has 80 items" in said(app)
    assert "small:" not in said(app)
    # As on data with too few users.
    assert not shown(monkeypatch, *(point._replace(recall=0.0) for point in (ours, near))).exception


def test_a_catalogue_is_called_small_where_brute_force_is_the_right_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    opened()
    app = shown(monkeypatch, served(SPARCODE, "20% of scores", 0.60, 0.2), served(FLAT, "", 0.62, 0.1), served(ALL_TO_ALL, "", 0.7, 2.0))
    assert "the catalogue is small: two-tower Flat scores every item and is neither slower nor less accurate than SparCode" in said(app)


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
    monkeypatch.setattr(ServingMeasurements, "measure", gated(ServingMeasurements.measure, go_on))
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
    monkeypatch.setattr(ServingMeasurements, "measure", raising(ValueError("the peers did not come")))
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
