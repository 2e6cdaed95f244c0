from __future__ import annotations

import csv
import io
import threading

import pytest
from streamlit.testing.v1 import AppTest

from app.compare import panel
from app.compare.panel import AGAIN, MEASURE
from app.compare.points import csv_of, remarks_of, table_of
from app.jobs.job import JobState
from app.measured import serving as serving_module
from app.measured.rivals import rivals, so_what
from app.measured.serving import serving_key
from app.measured.verdict import verdict
from app.models import backbones as backbones_module
from sparcode.comparison.measuring import TimingPlan
from sparcode.comparison.peers import FLAT, SPARCODE
from tests.fakes import PATIENCE, raising, served
from tests.pages.opened_pages import (
    charts,
    click,
    config_of,
    described,
    ended,
    labels,
    opened,
    own_backbone,
    setting_keys,
    settled,
    studio,
    visited,
)

PAGE = "compare.py"
TITLES = ["Recall against latency", "Recall against memory"]


@pytest.fixture(autouse=True)
def short_plan(tiny_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_module, "PLAN", TimingPlan(n_queries=3, rounds=2))


def measured() -> AppTest:
    """The page after a measurement."""
    app = click(settled(opened(PAGE, k="8")), MEASURE)
    ended(serving_key(config_of(k="8")))
    return app.run()


def test_before_the_first_measurement_the_page_says_what_it_would_do() -> None:
    app = settled(opened(PAGE, k="8"))
    assert not app.exception
    assert not app.table
    assert setting_keys(app.select_slider) == ["m", "k", "p", "t"]
    assert labels(app)[0] == MEASURE
    assert any("two-tower IVF-PQ, all-to-all, EASE and item co-occurrence" in text.value for text in app.markdown)
    assert list(charts(app)) == TITLES
    assert not app.dataframe


def test_a_measurement_shows_verdict_charts_table_and_where_it_comes_from() -> None:
    app = measured()
    assert not app.exception
    result = studio().serving.result(config_of(k="8"))
    read = verdict(result.points)
    assert app.subheader[0].value == read.headline
    assert any(read.sentences[0] in text.value for text in app.markdown)
    assert list(charts(app)) == TITLES
    assert all(read.headline in alt for alt in described(app))
    assert app.dataframe[0].value["Recall@50"].tolist() == [point.recall for point in result.points]
    (caption,) = [text.value for text in app.caption if "two-tower and all-to-all trained to the end" in text.value]
    assert "Measured on this machine" in caption
    assert all(words in caption for words in ("fine-tuned", "M = 1, K = 8", "Seed 0", result.machine))
    assert AGAIN in labels(app)


def test_the_first_line_is_the_answer_and_the_matrix_has_every_way_to_serve() -> None:
    app = measured()
    result = studio().serving.result(config_of(k="8"))
    rows = rivals(result.points)
    assert app.markdown[0].value == so_what(rows, studio().interactions.n_items)
    assert "At 80 items" in app.markdown[0].value
    (table,) = [element.value for element in app.table]
    names = [name.strip("*") for name in table["way to serve"]]
    assert names == [row.point.name for row in rows]
    assert {"EASE", "item co-occurrence", SPARCODE} <= set(names)
    recall = [float(cell.strip("*").split()[0]) for cell in table["Recall@50"]]
    assert recall == sorted(recall, reverse=True)


def test_a_measurement_under_way_has_a_bar_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    reached, go_on = threading.Event(), threading.Event()
    measure = serving_module.measure_in_turn

    def held(*arguments: object) -> object:
        for number, point in enumerate(measure(*arguments)):
            yield point
            if number == 2:
                reached.set()
                assert go_on.wait(PATIENCE)

    monkeypatch.setattr(serving_module, "measure_in_turn", held)
    app = settled(opened(PAGE, k="8"))
    click(app, MEASURE)
    assert reached.wait(PATIENCE)
    app.run()
    (bar,) = app.get("progress")
    assert bar.proto.text.startswith("Measuring recall: 3 of ")
    assert len(app.dataframe[0].value) == 3
    assert MEASURE not in labels(app)
    click(app, "Cancel the measurement")
    go_on.set()
    assert ended(serving_key(config_of(k="8"))).state is JobState.CANCELLED
    assert studio().serving.result(config_of(k="8")) is None
    app.run()
    assert "was cancelled. Nothing of it is kept." in app.info[0].value
    assert MEASURE in labels(app)


def test_a_failed_measurement_says_why_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(serving_module, "measure_in_turn", raising(ValueError("no memory for the graph")))
        app = measured()
        assert "no memory for the graph" in app.error[0].value
    click(app, MEASURE)
    ended(serving_key(config_of(k="8")))
    app.run()
    assert not app.error
    assert AGAIN in labels(app)


def test_a_failed_backbone_is_said_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
        app = opened(PAGE, k="8")
        assert "division by zero" in app.error[0].value
        assert labels(app) == ["Try again"]
    click(app, "Try again")
    assert settled(app).button[0].label == MEASURE
    assert studio().jobs.get(own_backbone()).state is JobState.DONE


def test_an_address_that_asks_for_the_impossible_is_answered() -> None:
    app = visited(PAGE, k="9")
    assert "asks for k = 9" in app.warning[0].value


def test_warnings_about_the_address_go_with_the_part_of_the_page_that_reruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel.st, "fragment", lambda part, run_every: lambda studio: None)
    app = visited(PAGE, k="9")
    assert app.title[0].value == "Compare"
    assert not app.warning


def test_best_values_are_marked_in_words() -> None:
    points = [served(SPARCODE, "5% of scores", 0.6, 0.2, 3_000_000), served(FLAT, "", 0.5, 0.1, 1_000_000)]
    best, cheap = (remarks_of(points)[point.label] for point in points)
    assert best == ["best recall", "best NDCG", "both fronts"]
    assert cheap == ["fastest median", "fastest p95", "least memory", "both fronts"]
    assert table_of(points)["remarks"].tolist() == [", ".join(best), ", ".join(cheap)]
    assert table_of([points[0]._replace(n_rounds=0)])["its quartiles (ms)"].tolist() == ["not timed yet"]


def test_the_download_holds_figures_and_what_they_depend_on() -> None:
    measured()
    result = studio().serving.result(config_of(k="8"))
    rows = list(csv.DictReader(io.StringIO(csv_of(result))))
    assert [float(row["recall@50"]) for row in rows] == pytest.approx([point.recall for point in result.points])
    assert {row["machine"] for row in rows} == {result.machine}
    assert {row["sparcode_model"] for row in rows} == {f"{result.kind}, M=1, K=8"}
