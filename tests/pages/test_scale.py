from __future__ import annotations

import csv
import io
import json
import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.charts.growth import FITTED
from app.jobs.job import JobState
from app.measured import scaling as scaling_module
from app.measured.scale_words import ENOUGH, answer, at_real_size, headline
from app.measured.scaling import scale_key
from app.measured.threshold_stops import KEPT_PERCENTS, share_of
from app.scale.columns import scale_columns, tiles_at
from app.scale.panel import LARGE, quick_label, shown_size
from app.scale.table import csv_of, left_out_lines, summary_table
from sparcode.comparison.grown_ways import WAYS, LeftOut
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import at_enough, at_share
from sparcode.comparison.peers import COOCCURRENCE, FLAT, HNSW, SPARCODE
from tests.app import open_studio
from tests.fakes import PATIENCE, raising
from tests.pages.opened_pages import (
    charts,
    click,
    config_of,
    described,
    ended,
    labels,
    markdown,
    opened,
    setting_keys,
    settled,
    slider,
    studio,
    tiles,
    visited,
)

PAGE = "scale.py"
# Of the small ladder.
QUICK = "Measure up to 400 items here"
TITLES = ["Time per query", "Memory", "Share found", "Build time"]


@pytest.fixture(autouse=True)
def small_ladder(tiny_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling_module, "LADDER", (200, 400))


def measured(**address: str) -> AppTest:
    """The page after a measurement."""
    app = click(settled(opened(PAGE, k="8", **address)), QUICK)
    assert ended(scale_key(config_of(k="8"))).state is JobState.DONE
    return app.run()


def own_measured() -> None:
    """Measure the studio's own setting, which the pages' defaults are not in the tiny studio."""
    open_studio.settled(studio(), studio().config)
    studio().scaling.start(studio().config, "ann", (80, 200))
    assert ended(scale_key(studio().config)).state is JobState.DONE


def test_before_the_first_measurement_the_page_says_what_it_would_do() -> None:
    app = settled(opened(PAGE, k="8"))
    assert not app.exception
    assert setting_keys(app.select_slider) == ["m", "k", "p", "t"]
    assert labels(app)[:2] == [QUICK, LARGE]
    assert "From how many items on does SparCode's index pay" in markdown(app)
    assert list(charts(app)) == TITLES
    assert not app.table


def test_a_measurement_answers_first_and_shows_charts_tiles_and_table() -> None:
    app = measured()
    assert not app.exception
    result = studio().scaling.result(config_of(k="8"))
    assert result.sizes == (80, 200, 400)
    said = headline(result.points)
    assert app.markdown[0].value == f"#### {said}"
    assert said
    assert at_real_size(at_enough(result.points, ENOUGH), 80) in app.markdown[1].value
    assert answer(at_share(result.points, share_of("20")))[1:] in markdown(app)
    fitted = [point for point in at_enough(result.points, ENOUGH) if point.name == SPARCODE]
    ways = [SPARCODE, *([FITTED] if fitted else []), *WAYS[1:]]
    drawn = charts(app)
    assert list(drawn) == TITLES
    assert all(said in alt for alt in described(app))
    assert [trace["name"] for trace in drawn["Time per query"]["data"]] == ways
    assert drawn["Time per query"]["layout"]["xaxis"]["type"] == drawn["Time per query"]["layout"]["yaxis"]["type"] == "log"
    assert set(tiles(app)) == {"scale_ms", "scale_mb", "scale_found"}
    (table,) = [element.value for element in app.table]
    assert table["way to serve"].tolist() == ways
    assert (table["finds"] != "").all()
    assert any(result.machine in text.value for text in app.caption)


def test_the_threshold_moves_what_is_sent_ahead_of_a_drag() -> None:
    app = measured()
    result = studio().scaling.result(config_of(k="8"))
    given = slider(app)
    assert given["kept"] == "20"
    curve = json.loads(given["curve"])
    measured_stop = curve["stops"].index(KEPT_PERCENTS.index("20"))
    at_20 = [point for point in at_share(result.points, 0.2) if point.name == SPARCODE]
    assert curve["columns"]["scale_ms"][measured_stop] == pytest.approx([point.p50_ms for point in at_20], rel=1e-5)
    assert curve["columns"]["scale_found"][measured_stop] == pytest.approx([point.found for point in at_20], rel=1e-5)
    assert tiles(app)["scale_ms"]["value"] == curve["tiles"]["scale_ms"]["value"][measured_stop]
    assert curve["captions"][measured_stop] == "20 % of scores kept, measured"
    assert "≈" in curve["captions"][measured_stop + 1]
    assert "≈" in curve["tiles"]["scale_ms"]["value"][measured_stop + 1]
    assert curve["stops"] == list(range(len(KEPT_PERCENTS)))


def test_the_button_names_the_largest_size_of_the_real_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling_module, "LADDER", (3_000, 100_000))
    assert [quick_label(size) for size in (1_200, 500_000)] == ["Measure up to 100,000 items here", "Measure up to 500,000 items here"]


def test_a_ratio_called_the_same_has_no_tone_and_figures_between_shares_are_marked() -> None:
    ours = GrowthPoint(SPARCODE, "≈ 1% of scores", 400, 0.01, 0.96, 2_000_000, 1.0, 1.01, 0.1, 24)
    exact = ours._replace(name=FLAT, setting="", share=float("nan"), size_bytes=1_000_000, p50_ms=1.0)
    time, memory, _ = tiles_at([ours, exact], 400)
    assert (time.delta, memory.delta) == (("the same", "same"), ("2 times", "worse"))
    assert tiles_at([ours._replace(p50_ms=0.5), exact], 400)[0].delta == ("1/2", "better")
    first, second = summary_table([ours, exact]).to_dict("records")
    columns = ("finds", "400 items (ms)", "memory (MB)", "build (s)")
    assert [first[column] for column in columns] == ["≈ 96.0%", "≈ 1.01", "≈ 2.0", "≈ 1"]
    assert not any("≈" in second[column] for column in columns)


def test_tiles_show_the_largest_size_that_every_share_fits() -> None:
    measured()
    points = list(studio().scaling.result(config_of(k="8")).points)
    assert shown_size(points) == 400
    without = [point for point in points if (point.n_items, point.share) != (400, 0.2)]
    assert shown_size(without) == 200
    assert shown_size([]) == 0
    curve = json.loads(scale_columns(without, 400, "v"))
    most = curve["stops"].index(KEPT_PERCENTS.index("20"))
    assert curve["columns"]["scale_ms"][most][-1] is None
    assert curve["tiles"]["scale_ms"]["value"][most] == "not measured"
    for share in (0.05, float("nan")):
        left = [LeftOut(SPARCODE, 400, share, "too large")]
        assert json.loads(scale_columns(without, 400, "v", left))["tiles"]["scale_ms"]["value"][most] == "does not fit"


def test_what_nobody_measured_is_not_said_not_to_fit_also_while_it_is_dragged() -> None:
    app = measured(keep="50")
    shown = {name: tile["value"] for name, tile in tiles(app).items()}
    assert shown == dict.fromkeys(("scale_ms", "scale_mb", "scale_found"), "not measured")
    curve = json.loads(slider(app)["curve"])
    half = curve["stops"].index(KEPT_PERCENTS.index("50"))
    assert [tile["value"][half] for tile in curve["tiles"].values()] == ["not measured"] * 3
    assert curve["captions"][half] == "50 % of scores kept, not measured at any size"


def test_a_measurement_under_way_shows_its_points_a_bar_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    measure = scaling_module.GrowthMeasurement.measure

    def held(self: object, n_items: int) -> object:
        if n_items == 400:
            reached.set()
            assert go_on.wait(PATIENCE)
        yield from measure(self, n_items)

    monkeypatch.setattr(scaling_module.GrowthMeasurement, "measure", held)
    app = settled(opened(PAGE, k="8"))
    click(app, QUICK)
    assert reached.wait(PATIENCE)
    app.run()
    (bar,) = app.get("progress")
    assert "items" in bar.proto.text
    (ours,) = [trace for trace in charts(app)["Time per query"]["data"] if trace["name"] == SPARCODE]
    assert ours["x"]["dtype"] == "f8"
    assert "80 items" in markdown(app)
    click(app, "Cancel the measurement")
    go_on.set()
    assert ended(scale_key(config_of(k="8"))).state is JobState.CANCELLED
    assert studio().scaling.result(config_of(k="8")) is None
    app.run()
    assert "was cancelled. Nothing of it is kept." in app.info[0].value


def test_a_failed_measurement_says_why_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = settled(opened(PAGE, k="8"))
    with monkeypatch.context() as patched:
        patched.setattr(scaling_module.GrowthMeasurement, "measure", raising(MemoryError("no room")))
        click(app, QUICK)
        ended(scale_key(config_of(k="8")))
        assert "no room" in app.run().error[0].value
    click(app, QUICK)
    ended(scale_key(config_of(k="8")))
    app.run()
    assert not app.error
    assert app.table


def test_a_million_is_offered_with_what_it_would_take() -> None:
    app = settled(opened(PAGE, k="8"))
    assert any("A million items take some minutes" in text.value for text in app.caption)
    app = measured()
    assert any(
        "A million takes about" in text.value and "min; it can be cancelled. Trainings of all visitors wait" in text.value
        for text in app.caption
    )


def test_a_setting_that_is_not_measured_shows_that_of_the_studio() -> None:
    own_measured()
    app = settled(opened(PAGE, k="8"))
    assert any("is not measured yet; below is" in text.value for text in app.caption)
    assert app.table


def test_the_overview_shows_the_picture_once_it_is_measured() -> None:
    assert "Time per query" not in charts(opened("overview.py"))
    own_measured()
    app = opened("overview.py")
    said = headline(studio().scaling.result(studio().config).points)
    assert app.markdown[0].value == f"#### {said}"
    assert "follow" not in charts(app)["Time per query"]["layout"].get("meta", {})


def test_an_address_that_asks_for_the_impossible_is_answered() -> None:
    app = visited(PAGE, keep="33.3")
    assert "asks for keep = 33.3" in app.warning[0].value


def test_the_download_holds_figures_and_what_they_depend_on() -> None:
    measured()
    result = studio().scaling.result(config_of(k="8"))
    rows = list(csv.DictReader(io.StringIO(csv_of(result))))
    assert [float(row["p50_ms"]) for row in rows] == pytest.approx([point.p50_ms for point in result.points])
    assert {row["machine"] for row in rows} == {result.machine}
    assert {row["real_items"] for row in rows} == {"80"}


def test_what_is_left_out_is_told_once_with_its_least_size() -> None:
    nan = float("nan")
    lines = left_out_lines(
        [
            LeftOut(COOCCURRENCE, 100, nan, "too large"),
            LeftOut(COOCCURRENCE, 30, nan, "too large; 20 would fit"),
            LeftOut(SPARCODE, 100, 0.5, "50% is too large"),
            LeftOut(HNSW, 100, nan, "too long"),
        ]
    )
    assert lines == [
        "item co-occurrence from 30 items on: too large; 20 would fit.",
        "SparCode (index) from 100 items on: 50% is too large.",
        "two-tower HNSW from 100 items on: too long.",
    ]


def test_the_table_says_where_a_way_ends() -> None:
    measured()
    points = at_share(studio().scaling.result(config_of(k="8")).points, 0.2)
    table = summary_table([point for point in points if (point.name, point.n_items) != (HNSW, 400)]).set_index("way to serve")
    assert table.loc[HNSW, "at"] == "200 items"
    assert table.loc[HNSW, "400 items (ms)"] == "–"
    assert np.all(table["at"].drop(HNSW) == "400 items")
