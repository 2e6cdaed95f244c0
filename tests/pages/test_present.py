"""Presentation mode: what is shown, and that nothing is changed or started."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.measured.scaling import ScaleMeasurements, ScaleResult
from app.session import loaders
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.peers import FLAT, SPARCODE
from tests.app.report.examples import chart, table, tiles
from tests.pages.opened_pages import config_of, ended, mounted, opened, own_backbone, settled, studio, visited

WAYS_SHOWN = ((SPARCODE, 0.2), (FLAT, float("nan")))

pytestmark = pytest.mark.usefixtures("tiny_app")


def presented(app: AppTest) -> dict[str, Any]:
    """What the presentation was given."""
    (found,) = [given for given in mounted(app) if "views" in given]
    return found


def measured() -> None:
    """The tiny setting, measured as on the Explorer."""
    settled(opened("index_explorer.py", k="8"))


def test_a_run_is_four_numbers_with_two_charts_and_then_each_chart() -> None:
    measured()
    app = visited("index_explorer.py", k="8", present="1")
    assert not app.exception
    given = presented(app)
    first, *others = given["views"]
    assert [tile["label"] for tile in first["tiles"]][:2] == ["Recall@50", "Index size"]
    assert (len(first["tiles"]), len(first["figures"])) == (4, 2)
    assert len(others) >= 6
    assert all(len(view["figures"]) == 1 for view in others)
    assert "K=8" in first["foot"]
    assert "seed 0" in first["foot"]


def test_the_view_of_growing_catalogues_names_the_model_and_machine_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    measured()
    point = GrowthPoint(SPARCODE, "", 80, 0.2, 0.99, 1_000, 1.0, 0.1, 0.05, 24)
    points = tuple(point._replace(name=name, n_items=size, share=share) for size in (80, 200) for name, share in WAYS_SHOWN)
    grown = ScaleResult(points, (), {80: 1.0, 200: 1.0}, 80, 10, "preview", "tiny", "Another machine", "2026-11-30T00:00:00+00:00", 0.1)
    of_this = {config_of(k="8").content_hash(): grown}
    monkeypatch.setattr(ScaleMeasurements, "result", lambda self, config: of_this.get(config.content_hash()))
    views = presented(visited("index_explorer.py", k="8", present="1"))["views"]
    (foot,) = [view["foot"] for view in views if "Catalogue grown" in view["foot"]]
    assert foot.startswith("preview, ")
    assert "K=8" in foot
    assert foot.endswith("Catalogue grown from its 80 items. Measured on Another machine.")
    # Measured of the studio's own setting alone, which is not the one looked at.
    of_this[studio().config.content_hash()] = of_this.pop(config_of(k="8").content_hash())
    assert studio().config != config_of(k="8")
    views = presented(visited("index_explorer.py", k="8", present="1"))["views"]
    assert not [view for view in views if "Catalogue grown" in view["foot"]]


def test_nothing_can_be_changed_and_nothing_is_started() -> None:
    measured()
    before = studio().jobs.running()
    app = visited("index_explorer.py", k="8", present="1")
    for kind in ("button", "selectbox", "slider", "text_input", "download_button", "button_group", "checkbox", "number_input"):
        assert not app.get(kind), kind
    assert studio().jobs.running() == before


def test_a_setting_that_nobody_measured_is_not_trained_for_a_screen() -> None:
    ended(own_backbone())
    app = visited("overview.py", k="16", present="1")
    (view,) = presented(app)["views"]
    assert "Nothing has been measured" in view["title"]
    assert not studio().jobs.has_active()
    assert studio().indexes.all() == []


def test_a_model_that_is_there_is_measured_for_a_screen() -> None:
    measured()
    for kind in ("fine-tuned", "preview"):
        studio().indexes.discard(kind, config_of(k="8"))
    app = settled(visited("index_explorer.py", k="8", present="1"))
    assert len(presented(app)["views"][0]["tiles"]) == 4
    assert not studio().jobs.has_active()


def test_the_report_is_stepped_through_where_there_is_one() -> None:
    measured()
    app = visited("report.py", k="8")
    for entry in (chart(), tiles(), table(rows=30)):
        loaders.opened().reports.add(app.session_state["owner"], entry)
    app.query_params["present"] = "1"
    views = presented(app.run())["views"]
    assert [view["title"] for view in views] == [chart().title, tiles().title, table().title]
    assert (len(views[0]["figures"]), len(views[1]["tiles"]), len(views[2]["table"]["rows"])) == (1, 2, 10)
    assert "The first 10 of 30 rows." in views[2]["foot"]
    app.switch_page("../pages/index_explorer.py")
    app.query_params["present"], app.query_params["k"] = "1", "8"
    assert len(presented(app.run())["views"]) == 4


@pytest.mark.parametrize("asked", ["0", "2", "yes", "<b>1</b>"])
def test_another_value_than_1_shows_the_page_and_says_so(asked: str) -> None:
    app = visited("report.py", present=asked)
    assert app.warning[0].value.startswith("The address asks for present = ")
    assert "<b>" not in app.warning[0].value
    assert not [given for given in mounted(app) if "views" in given]


@pytest.mark.parametrize(
    ("asked", "at", "said"), [("2", 1, ""), ("3", 2, ""), ("0", 0, "view = 0"), ("4", 0, "view = 4"), ("x<", 0, "view = x?")]
)
def test_the_view_of_the_address_is_checked(asked: str, at: int, said: str) -> None:
    app = visited("report.py")
    for entry in (chart(), tiles(), table()):
        loaders.opened().reports.add(app.session_state["owner"], entry)
    app.query_params["present"], app.query_params["view"] = "1", asked
    given = presented(app.run())
    assert given["at"] == at
    assert said in given["said"]
    assert bool(given["said"]) == bool(said)
