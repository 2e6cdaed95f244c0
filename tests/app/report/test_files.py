from __future__ import annotations

import csv
import io
import json
import re
import shlex
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pptx import Presentation
from typer.testing import CliRunner

from app.report.archive import archive
from app.report.entry import Chart, Entry, table_entry
from app.report.figure_table import csv_of, figure_table
from app.report.html_file import html_file
from app.report.picture import checked_svg
from app.report.rerun import settings_files
from app.report.slides import MOST_COLUMNS, MOST_ROWS, slides
from app.report.store import Report
from sparcode.cli import app
from tests.app.report.examples import DAY, HARM, SOURCE, chart, figure, png, svg, table, tiles
from tests.tiny import CONFIG

# The file holds all of Plotly, which takes a browser a while to read on a busy machine.
PATIENCE_MS = 120_000
EVERY_FILE = [html_file, slides, archive]


def report(*entries: Entry) -> Report:
    drawn = entries or (replace(chart(), picture=png(), drawing=checked_svg(svg()), note="Look at the knee.\nThen ask."), tiles(), table())
    return Report(tuple(replace(entry, number=at) for at, entry in enumerate(drawn, start=1)), "My talk")


@pytest.mark.parametrize("make", EVERY_FILE)
def test_an_empty_report_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match="the report is empty"):
        make(Report())


def test_the_html_file_has_everything_inside_and_names_all_it_depends_on() -> None:
    text = html_file(report()).decode()
    assert not re.search(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", text)
    for part in ("My talk", "Look at the knee.", SOURCE.machine, SOURCE.data, "2026-11-30 22:05 UTC", "0.412", "way 2"):
        assert part in text
    assert "sparcode train --data tiny.csv --config config-1.json" in text
    without = html_file(report(table())).decode()
    assert len(without) < 50_000


def test_texts_of_the_html_file_stay_text() -> None:
    harmful = replace(chart(takeaway=HARM, name=HARM), note=HARM)
    text = html_file(report(harmful, table_entry(HARM, [HARM], [[HARM]], SOURCE._replace(data=HARM), DAY))).decode()
    body = text[text.index("<main>") : text.index("</main>")]
    assert "alert(1)" in body
    assert "<script>" not in body
    assert "<!--" not in body
    (stored,) = re.findall(r'<script type="application/json">(.*?)</script>', body)
    assert json.loads(stored)["light"]["layout"]["title"]["text"] == HARM


@pytest.mark.browser
def test_the_html_file_opens_without_a_network_and_draws_the_same_figures(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_bytes(html_file(report(chart(takeaway=HARM, name=HARM), chart(), tiles(), table())))
    context = browser.new_context(offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: problems.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None)
    page.goto(path.as_uri(), timeout=PATIENCE_MS)
    page.wait_for_function("() => document.querySelectorAll('.chart[data-drawn]').length === 2", timeout=PATIENCE_MS)
    drawn = page.evaluate("() => [...document.querySelectorAll('.chart')].map(box => [box.layout.title.text, [...box._fullData[1].y]])")
    assert drawn == [[HARM, [0.5, 0.75]], ["8 times smaller for 0.01 recall", [0.5, 0.75]]]
    assert page.locator("tbody tr").count() == 3
    assert not problems
    page.emulate_media(color_scheme="dark")
    dark = json.loads(figure(dark=True).to_json())["layout"]["paper_bgcolor"]
    page.wait_for_function("dark => document.querySelector('.chart').layout.paper_bgcolor === dark", arg=dark, timeout=PATIENCE_MS)
    context.close()


def test_slides_have_a_title_and_one_entry_each() -> None:
    shown = Presentation(io.BytesIO(slides(report())))
    assert shown.slide_width / shown.slide_height == pytest.approx(16 / 9, abs=1e-3)
    first, of_chart, of_tiles, of_table = shown.slides
    assert first.shapes.title.text == "My talk"
    assert of_chart.shapes.title.text == "8 times smaller for 0.01 recall"
    (picture,) = [shape for shape in of_chart.shapes if shape.shape_type is not None and hasattr(shape, "image")]
    assert picture.image.blob == png()
    assert picture.width / picture.height == pytest.approx(800 / 360, rel=1e-3)
    assert picture.width > 0.7 * shown.slide_width
    notes = of_chart.notes_slide.notes_text_frame.text
    for part in (
        "Look at the knee.",
        SOURCE.data,
        "Seed: 3",
        SOURCE.machine,
        "2026-11-30 22:05 UTC",
        json.dumps(CONFIG.model_dump(mode="json")),
    ):
        assert part in notes
    assert any("0.412" in shape.text_frame.text for shape in of_tiles.shapes if shape.has_text_frame)
    (grid,) = [shape.table for shape in of_table.shapes if shape.has_table]
    assert [cell.text for cell in grid.rows[2].cells] == ["way 1", "0.142857"]
    for slide in shown.slides:
        for shape in slide.shapes:
            assert shape.left >= 0
            assert shape.top >= 0
            assert shape.left + shape.width <= shown.slide_width
            assert shape.top + shape.height <= shown.slide_height


def test_a_large_table_is_cut_on_its_slide_and_the_slide_says_so() -> None:
    shown = Presentation(io.BytesIO(slides(report(table(MOST_ROWS + 5, MOST_COLUMNS + 2)))))
    slide = shown.slides[1]
    (frame,) = [shape for shape in slide.shapes if shape.has_table]
    assert (len(frame.table.rows), len(frame.table.columns)) == (MOST_ROWS + 1, MOST_COLUMNS)
    said = " ".join(shape.text_frame.text for shape in slide.shapes if shape.has_text_frame)
    assert f"{MOST_ROWS} of {MOST_ROWS + 5} rows, {MOST_COLUMNS} of {MOST_COLUMNS + 2} columns" in said


def test_slides_need_the_pictures() -> None:
    with pytest.raises(ValueError, match=r"pictures of entries 2 are not drawn yet"):
        slides(report(tiles(), chart()))


def test_the_archive_has_tables_pictures_and_what_trains_them_again() -> None:
    with zipfile.ZipFile(io.BytesIO(archive(report()))) as packed:
        names = packed.namelist()
        readme = packed.read("README.txt").decode()
        picture = packed.read("01-recall-against-index-size.png")
        drawing = packed.read("01-recall-against-index-size.svg").decode()
        points = packed.read("01-recall-against-index-size.csv").decode()
        ways = packed.read("03-every-way-to-serve.csv").decode()
    assert {"config-1.json", "01-recall-against-index-size.plotly.json", "02-recall-50-0-412-index-size-1-20-mb.csv"} <= set(names)
    assert (picture, drawing) == (png(), svg())
    assert list(csv.reader(io.StringIO(points)))[:2] == [["series", "index size (MB)", "recall at 50"], ["this run", "1.5", "0.25"]]
    assert list(csv.reader(io.StringIO(ways)))[2] == ["way 1", repr(1 / 7)]
    for part in ("My talk", "Note: Look at the knee.", SOURCE.machine, "sparcode train --data tiny.csv --config config-1.json"):
        assert part in readme


def test_names_in_the_archive_are_plain_whatever_the_title() -> None:
    evil = replace(table(), title="../../etc/passwd\\C:")
    with zipfile.ZipFile(io.BytesIO(archive(report(evil, replace(tiles(), title="…"))))) as packed:
        assert [name for name in packed.namelist() if name.endswith(".csv")] == ["01-etc-passwd-c.csv", "02-row-of-figures.csv"]


def test_equal_settings_share_a_file_and_entries_of_the_data_alone_have_none() -> None:
    other = SOURCE._replace(data_flags="--data b.csv")
    files = settings_files(
        [table(), table_entry("t", ["a"], [[1]], SOURCE._replace(config=""), DAY), tiles(), replace(table(), source=other)]
    )
    assert [(one.file, one.numbers) for one in files] == [("config-1.json", (1, 3)), ("config-2.json", (4,))]


def test_the_command_trains_the_settings_again(tiny_table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = replace(table(), source=SOURCE._replace(data_flags=f"--data {tiny_table.name}"))
    (one,) = settings_files([entry])
    (tmp_path / one.file).write_text(one.text, encoding="utf-8")
    (tmp_path / tiny_table.name).write_bytes(tiny_table.read_bytes())
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [*shlex.split(one.command)[1:], "--out", "again", "--quiet"])
    assert result.exit_code == 0, result.output
    again = json.loads((tmp_path / "again" / "run.json").read_text(encoding="utf-8"))["config"]
    assert again["quantizer"] == CONFIG.model_dump(mode="json")["quantizer"]
    assert again["model"] == CONFIG.model_dump(mode="json")["model"]


def test_a_figures_table_has_every_point_with_typed_arrays_read_and_gaps_left_out() -> None:
    found = figure_table(figure().to_json())
    assert found.columns == ("series", "index size (MB)", "recall at 50")
    assert found.rows == (("this run", 1.5, 0.25), ("=SUM(A1)", 1, 0.5), ("=SUM(A1)", 2, 0.75))
    assert "\n'=SUM(A1),1,0.5\n" in csv_of(found)


def test_a_heat_map_is_a_row_for_each_cell() -> None:
    heat = {"type": "heatmap", "name": "use", "x": ["a", "b"], "y": [1, 2], "z": [[0.1, 0.2], [0.3, None]]}
    found = figure_table(json.dumps({"data": [heat], "layout": {"xaxis": {"title": {"text": "first"}}}}))
    assert found.columns == ("series", "first", "y", "value")
    assert found.rows == (("use", "a", 1, 0.1), ("use", "b", 1, 0.2), ("use", "a", 2, 0.3), ("use", "b", 2, None))
    assert isinstance(chart().content, Chart)
