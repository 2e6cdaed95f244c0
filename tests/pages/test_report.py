"""The page Report, and the report that other pages add to."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from app.report.archive import archive
from app.report.entry import LONGEST_NOTE, Chart, Table
from app.report.html_file import html_file
from app.report_page import pictures
from app.report_page.exports import exported
from app.session import loaders
from app.session import report as session_report
from app.session.report import keep_note, own_report
from app.studio import EXPORTS
from tests.app.report.examples import chart, data_url, png, svg, table, tiles
from tests.pages.opened_pages import click, markdown, mounted, opened, settled, studio, visited
from tests.tiny import tiny_data

pytestmark = pytest.mark.usefixtures("tiny_app")


def owner(app: AppTest) -> str:
    return app.session_state["owner"]


def report_with(*entries: object) -> AppTest:
    """The page with a report of these entries."""
    app = visited("report.py")
    for entry in entries:
        loaders.opened().reports.add(owner(app), entry)
    return app.run()


def headings(app: AppTest) -> list[str]:
    return [text.value for text in app.markdown if text.value.strip().startswith("####")]


def entries(app: AppTest) -> list[str]:
    return [entry.title for entry in loaders.opened().reports.of(owner(app)).entries]


def test_an_empty_report_says_how_to_fill_it() -> None:
    app = visited("report.py")
    assert "The report is empty" in headings(app)[0]
    assert "Add to report" in markdown(app)
    assert not app.exception
    assert not app.get("download_button")


def test_a_table_is_added_where_it_stands_and_is_in_the_report_with_its_source() -> None:
    app = settled(opened("index_explorer.py", k="8"))
    app.session_state["explorer-numbers"] = True
    app.run()
    app.button(key="add-explorer-numbers-0").click().run()
    assert not app.exception
    assert "Added to the report, which has 1 entry." in app.toast[0].value
    app.run()
    assert not app.toast
    (entry,) = loaders.opened().reports.of(owner(app)).entries
    source = entry.source
    assert isinstance(entry.content, Table)
    assert entry.content.columns[0] == "threshold tau"
    assert len(entry.content.rows) > 10
    # While a query is timed the process has one thread.
    assert source.machine.split(",")[:2] == studio().machine.split(",")[:2]
    assert (source.page, source.seed) == ("Index Explorer", 0)
    assert source.data.startswith(f"{studio().interactions.name}: {tiny_data().n_users} users")
    assert "K=8" in source.setting
    assert source.data_flags == "--data tiny.csv"
    app.switch_page("../pages/report.py").run()
    assert headings(app) == ["#### 1 table of tiny, ready to take home"] or "1 table" in headings(app)[0]
    assert not app.exception


def offered(app: AppTest) -> list[dict]:
    return [given for given in mounted(app) if isinstance(given.get("note"), dict)]


def test_a_note_is_offered_where_something_was_added_last_until_the_page_is_left() -> None:
    app = settled(opened("index_explorer.py", k="8"))
    app.session_state["explorer-numbers"] = True
    app.run()
    assert offered(app) == []
    for number in (1, 2):
        app.button(key="add-explorer-numbers-0").click().run()
        (given,) = offered(app)
        assert given["name"].startswith("This table: ")
        assert given["note"] == {"number": number, "longest": LONGEST_NOTE}
    app.run()
    assert [given["note"]["number"] for given in offered(app)] == [2]
    app.switch_page("../pages/report.py").run()
    app.switch_page("../pages/index_explorer.py").run()
    assert offered(app) == []


def test_a_note_from_the_browser_is_checked_and_kept_with_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    app = report_with(table(), tiles())
    state: dict[str, object] = {}
    who = owner(app)
    monkeypatch.setattr(session_report, "st", SimpleNamespace(session_state=state))
    monkeypatch.setattr(session_report, "owner_id", lambda: who)
    for wrong in (None, 7, {}, {"number": "1", "text": "x"}, {"number": 1, "text": 3}, {"number": 1, "text": "  "}, {"number": 1}):
        keep_note(wrong)
    keep_note({"number": 99, "text": "of nobody"})
    assert [entry.note for entry in own_report().entries] == ["", ""]
    keep_note({"number": 1, "text": "  The\x00 knee "})
    assert [entry.note for entry in own_report().entries] == ["The knee", ""]
    assert [entry.title for entry in own_report().entries] == [table().title, tiles().title]
    assert list(state.values()) == ["The note is kept with its entry."]
    monkeypatch.setattr(loaders.opened().reports, "_report_bytes", 10)
    keep_note({"number": 2, "text": "no room"})
    assert next(iter(state.values())).startswith("The note is not kept: the report would have")
    assert own_report().entries[1].note == ""


def test_entries_are_titled_noted_moved_and_dropped() -> None:
    app = report_with(tiles(), table())
    assert headings(app) == ["#### 1 row of figures and 1 table of the run films, ready to take home"]
    app.text_area[1].set_value("Ask about the knee").run()
    app.text_input[2].set_value("What serving costs").run()
    noted = loaders.opened().reports.of(owner(app)).entries[1]
    assert (noted.title, noted.note) == ("What serving costs", "Ask about the knee")
    app.button(key="report-Up-2").click().run()
    assert entries(app) == ["What serving costs", tiles().title]
    assert [app.button(key=f"report-{name}-2").disabled for name in ("Up", "Down")] == [True, False]
    app.button(key="report-Drop-2").click().run()
    assert entries(app) == [tiles().title]
    app.text_input(key="report-title").set_value("My talk").run()
    assert loaders.opened().reports.of(owner(app)).title == "My talk"
    click(app, "Drop everything")
    assert "The report is empty" in headings(app)[0]


def test_pictures_are_asked_for_one_by_one_checked_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    app = report_with(chart(), tiles(), chart())
    reports, who = loaders.opened().reports, owner(app)
    monkeypatch.setattr(pictures, "owner_id", lambda: who)
    (asked,) = [given for given in mounted(app) if "figure" in given]
    assert asked["number"] == 1
    assert [button.disabled for button in app.get("download_button")] == [False, True, True]
    pictures.keep_picture({"number": 1, "png": data_url(png()), "svg": svg()})
    app.run()
    assert reports.of(who).entries[0].picture == png()
    (asked,) = [given for given in mounted(app) if "figure" in given]
    assert asked["number"] == 3
    for wrong in (None, 7, "x", {}, {"number": "3", "png": data_url(png()), "svg": svg()}, {"number": 3}, {"number": 3, "png": "<svg>"}):
        pictures.keep_picture(wrong)
    pictures.keep_picture({"number": 3, "png": data_url(png()), "svg": svg("<script/>")})
    assert reports.of(who).entries[2].picture == b""
    pictures._failed().clear()
    pictures.keep_picture({"number": 3, "png": data_url(png()), "svg": svg()})
    app.run()
    assert [button.disabled for button in app.get("download_button")] == [False, False, False]
    assert not [given for given in mounted(app) if "figure" in given]


def test_exports_are_made_by_a_job_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    app = report_with(table(), replace(chart(), picture=png()))
    jobs, report, seen = studio().jobs, loaders.opened().reports.of(owner(app)), []

    def make(shown: object) -> bytes:
        seen.append(jobs.running())
        return archive(shown)

    assert exported("ZIP", make, report, jobs, "ann") == archive(report)
    (running,) = seen
    (key,) = [name for name in running if name.startswith(EXPORTS)]
    assert jobs.get(key) is None
    assert re.match(rb"<!DOCTYPE html>", exported("HTML", html_file, report, jobs, "ann"))

    def fails(shown: object) -> bytes:
        raise ValueError("no room")

    with pytest.raises(RuntimeError, match="no room"):
        exported("ZIP", fails, report, jobs, "ann")
    assert isinstance(report.entries[1].content, Chart)


def test_another_browser_sees_none_of_it() -> None:
    report_with(table())
    assert "The report is empty" in headings(visited("report.py"))[0]
