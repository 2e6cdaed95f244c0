from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.components.figure_tiles import Tile
from app.explorer import panel
from app.explorer.as_if import LABEL, as_if_columns, as_if_tiles, large_of, note
from app.measured import scaling as scaling_module
from app.measured.scaling import ScaleResult
from app.measured.threshold_stops import KEPT_PERCENTS
from app.models.trained import Recording
from app.session.report import FiguresOf, shown_figures
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.peers import SPARCODE
from tests.pages.opened_pages import opened, settled, slider, studio, tiles

POINTS = tuple(
    GrowthPoint(SPARCODE, "", 100_000, share, found, size, 1.0, p50_ms, 0.1, 24)
    for share, found, size, p50_ms in ((0.01, 0.96, 50_000_000, 0.2), (0.2, 0.999, 1_000_000_000, 2.0))
)
RESULT = ScaleResult(POINTS, (), {100_000: 1.0}, 80, 10, "preview", "tiny", "a machine", "2026-11-30T00:00:00+00:00")


@pytest.fixture(autouse=True)
def grown(tiny_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting is measured at 100,000 items."""
    monkeypatch.setattr(scaling_module.ScaleMeasurements, "result", lambda self, config: RESULT)


def switched(app: AppTest) -> AppTest:
    (found,) = [toggle for toggle in app.toggle if toggle.label == LABEL]
    return found.set_value(True).run()


def test_the_switch_shows_latency_and_size_of_the_grown_catalogue_and_back() -> None:
    app = settled(opened("index_explorer.py", k="8"))
    before = tiles(app)
    assert note(RESULT) not in [text.value for text in app.caption]
    app = switched(app)
    assert not app.exception
    assert note(RESULT) in [text.value for text in app.caption]
    assert "of the model **preview** when the page Scale measured it, on this machine" in note(RESULT)
    shown = tiles(app)
    assert shown["p50_ms"]["value"].startswith("2")
    assert shown["size_bytes"]["value"].startswith("1")
    assert shown["recall"] == before["recall"]
    at_size = [name for name, tile in shown.items() if tile["label"].endswith(" at 100,000 items")]
    assert sorted(at_size) == ["p50_ms", "p95_ms", "parts", "postings", "size_bytes"]
    assert (shown["postings"]["value"], shown["postings"]["caption"]) == ("200,000", "of 1,000,000")
    curve = json.loads(slider(app)["curve"])
    values = curve["tiles"]["p50_ms"]["value"]
    assert values[curve["stops"].index(KEPT_PERCENTS.index("20"))] == shown["p50_ms"]["value"]
    app.toggle[0].set_value(False).run()
    assert tiles(app)["size_bytes"] == before["size_bytes"]


def test_an_entry_of_the_report_says_which_figures_are_of_another_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, FiguresOf] = {}

    def draw(shown: list[Tile], key: str, version: str, says_kind: bool) -> None:
        drawn[key] = shown_figures()

    monkeypatch.setattr(panel, "figure_tiles", draw)
    recorded = RESULT._replace(kind="recorded", recording=Recording("2026-11-30", "Another machine"))
    monkeypatch.setattr(scaling_module.ScaleMeasurements, "result", lambda self, config: recorded)
    app = settled(opened("index_explorer.py", k="8"))
    assert [figures.besides for figures in drawn.values()] == ["", ""]
    switched(app)
    for key in ("tiles-index", "tiles-latency"):
        assert drawn[key].besides == ("latency, size and scores kept at 100,000 items: recorded, Another machine, on 30 November 2026")
        assert drawn[key].source().machine.endswith(drawn[key].besides)


def test_a_catalogue_that_is_not_grown_to_that_size_has_no_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling_module, "LADDER", (200, 400))
    app = settled(opened("index_explorer.py", k="8"))
    assert LABEL not in [toggle.label for toggle in app.toggle]


def test_what_is_sent_ahead_of_a_drag_is_marked_between_shares_and_follows_the_slider() -> None:
    stops = [KEPT_PERCENTS.index(text) for text in ("50", "20", "4.06", "1.02")]
    curve = json.dumps({"stops": stops, "tiles": {"recall": {"value": ["1"] * 4}}})
    given = json.loads(as_if_columns(curve, large_of(RESULT)))
    unknown, first, *rest = given["tiles"]["p50_ms"]["value"]
    assert unknown == "not measured"
    assert not first.startswith("≈")
    assert all(text.startswith("≈ ") for text in rest)
    numbers = [float(text.removeprefix("≈ ").split()[0]) for text in (first, *rest)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] < numbers[0] / 2
    assert given["tiles"]["recall"] == {"value": ["1"] * 4}


def test_without_points_nothing_changes() -> None:
    assert as_if_columns("{}", None) == "{}"
    assert as_if_columns("", large_of(RESULT)) == ""
    assert as_if_tiles([], None, "20") == []


def test_a_setting_that_is_not_measured_offers_no_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling_module.ScaleMeasurements, "result", lambda self, config: None)
    app = settled(opened("index_explorer.py", k="8"))
    (found,) = [toggle for toggle in app.toggle if toggle.label == LABEL]
    assert found.disabled
    assert "page Scale" in found.help
    assert studio().scaling.job(studio().config) is None
