from __future__ import annotations

import json

import pytest

from app.report.entry import FIGURE_BYTES, LONGEST_NOTE, LONGEST_TITLE, TABLE_CELLS, Chart, Entry, chart_entry, table_entry, tiles_entry
from app.report.picture import HEIGHT, PICTURE_BYTES, SCALE, SVG_BYTES, WIDTH, checked_png, checked_svg, svg_text
from app.report.store import TITLE, Reports
from app.report.words import contents_line, origin_line
from tests.app.report.examples import DAY, SOURCE, chart, data_url, figure, png, svg, table, tiles


def numbers(reports: Reports, owner: str = "ann") -> list[int]:
    return [entry.number for entry in reports.of(owner).entries]


def filled(*entries: Entry, **bounds: int) -> Reports:
    reports = Reports(**bounds)
    for entry in entries:
        reports.add("ann", entry)
    return reports


def test_a_report_is_its_owners_alone() -> None:
    reports = filled(chart())
    reports.add("bob", table())
    assert [entry.kind for entry in reports.of("ann").entries] == ["chart"]
    assert [entry.kind for entry in reports.of("bob").entries] == ["table"]
    reports.drop("bob", numbers(reports)[0])
    reports.clear("bob")
    assert len(reports.of("ann").entries) == 1
    assert reports.of("eve").entries == reports.of("bob").entries == ()


def test_entries_are_moved_and_dropped_and_numbers_are_never_used_again() -> None:
    reports = filled(chart(), tiles(), table())
    assert numbers(reports) == [1, 2, 3]
    reports.move("ann", 3, -1)
    assert numbers(reports) == [1, 3, 2]
    reports.move("ann", 1, 5)
    assert numbers(reports) == [3, 2, 1]
    reports.move("ann", 3, -1)
    reports.move("ann", 99, 1)
    assert numbers(reports) == [3, 2, 1]
    reports.drop("ann", 1)
    reports.drop("ann", 99)
    reports.add("ann", chart())
    assert numbers(reports) == [3, 2, 4]


def test_titles_and_notes_are_cut_and_lose_control_characters() -> None:
    reports = filled(chart())
    reports.write("ann", 1, "a\x00b\nc" + "x" * 500, "first\nsecond\x1b" + "y" * 9000)
    (entry,) = reports.of("ann").entries
    assert entry.title.startswith("ab c")
    assert entry.note.startswith("first\nsecondy")
    assert (len(entry.title), len(entry.note)) == (LONGEST_TITLE, LONGEST_NOTE)
    reports.write("ann", 1, "   ", "")
    assert reports.of("ann").entries[0].title == entry.title
    assert reports.rename("ann", "My\ntalk").title == "Mytalk"
    assert reports.rename("ann", " ").title == TITLE


def test_a_report_takes_so_many_entries_and_bytes() -> None:
    reports = filled(chart(), chart(), most_entries=2)
    with pytest.raises(ValueError, match="has 2 entries, the most there may be"):
        reports.add("ann", chart())
    small = filled(chart(), report_bytes=chart().n_bytes + len(png()) - 1)
    with pytest.raises(ValueError, match=r"drop an entry"):
        small.draw("ann", 1, png(), checked_svg(svg()))
    assert small.of("ann").entries[0].picture == b""
    with pytest.raises(ValueError, match=r"drop an entry"):
        small.add("ann", chart())
    assert numbers(small) == [1]


def test_beyond_the_bytes_of_all_the_report_changed_longest_ago_goes_first() -> None:
    reports = Reports(all_bytes=2 * chart().n_bytes + 100)
    for owner in ("ann", "bob"):
        reports.add(owner, chart())
    reports.write("ann", 1, "still here", "")
    reports.add("eve", chart())
    assert [len(reports.of(owner).entries) for owner in ("ann", "bob", "eve")] == [1, 0, 1]


def test_a_chart_is_titled_by_its_takeaway_and_named_below() -> None:
    entry = chart()
    assert (entry.title, entry.name) == ("8 times smaller for 0.01 recall", "Recall against index size")
    assert (chart(takeaway="").title, chart(takeaway="").name) == ("Recall against index size", "")
    assert isinstance(entry.content, Chart)
    assert json.loads(entry.content.light)["layout"]["paper_bgcolor"] != json.loads(entry.content.dark)["layout"]["paper_bgcolor"]


@pytest.mark.parametrize("text", ["[]", '{"data": [], "layout": 1}', '{"layout": {}}', "no json", " " * (FIGURE_BYTES + 1)])
def test_what_is_no_figure_of_a_possible_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"chart|Expecting"):
        chart_entry(text, figure(dark=True).to_json(), SOURCE, DAY)


def test_empty_and_endless_tables_and_rows_without_figures_are_refused() -> None:
    for rows, columns in (([], ["a"]), ([[]], []), ([["x"] * 10] * (TABLE_CELLS // 10 + 1), ["a"] * 10)):
        with pytest.raises(ValueError, match="table"):
            table_entry("title", columns, rows, SOURCE, DAY)
    with pytest.raises(ValueError, match="MB"):
        table_entry("title", ["a"], [["x" * 1000]] * 3000, SOURCE, DAY)
    with pytest.raises(ValueError, match="no figures"):
        tiles_entry([], SOURCE, DAY)


def test_a_picture_is_a_whole_png_of_the_expected_size() -> None:
    assert checked_png(data_url(png())) == png()
    for text in (
        data_url(png(width=SCALE * WIDTH + 1)),
        data_url(png(height=HEIGHT)),
        data_url(png(kind="JPEG")),
        data_url(png()[:-200]),
        data_url(png(), "svg+xml"),
        data_url(b"<svg onload=alert(1)>"),
        data_url(b"\0" * (PICTURE_BYTES + 10)),
        "data:image/png;base64,####",
        "https://example.org/a.png",
        "",
        None,
    ):
        with pytest.raises(ValueError, match="picture"):
            checked_png(text)


def test_a_drawing_is_shapes_and_texts_that_refer_to_nothing_outside() -> None:
    link = 'xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href'
    good = svg(f"""<defs><clipPath id='c'><rect/></clipPath></defs><text style="font-family: 'Segoe UI'">50 µs &lt; 1 // 2</text>
        <g clip-path="url('#c')"><image {link}="data:image/png;base64,AAAA"/></g>""")
    assert svg_text(checked_svg(good)) == good
    for text in (
        svg("<script>alert(1)</script>"),
        svg("<style>@import 'https://example.org';</style>"),
        svg("<foreignObject/>"),
        svg("<a href='#c'><text/></a>"),
        svg("<x:path xmlns:x='urn:x'/>"),
        svg("<path onclick='alert(1)'/>"),
        svg(root="onload='alert(1)'"),
        svg(f"<image {link}='https://example.org/a.png'/>"),
        svg("<image href='data:image/svg+xml,x'/>"),
        svg("<rect style='fill: url(https://example.org/a)'/>"),
        svg("<rect fill='url( a.svg#b)'/>"),
        svg(r"<rect style='fill: \75rl(a)'/>"),
        svg("<!-- hello -->"),
        '<!DOCTYPE svg [<!ENTITY a "aa">]>' + svg("&a;"),
        svg("<?xml-stylesheet href='a.css'?>"),
        svg("<path>"),
        svg(width=WIDTH + 1),
        svg(f"<text>{'x' * SVG_BYTES}</text>"),
        data_url(png()),
        "",
        None,
    ):
        with pytest.raises(ValueError, match="drawing"):
            checked_svg(text)


def test_the_first_line_says_what_is_in_it() -> None:
    other = table_entry("t", ["a"], [[1]], SOURCE._replace(run="books"), DAY)
    assert contents_line([]) == ""
    assert contents_line([chart()]) == "1 chart of the run films"
    assert contents_line([chart(), table(), chart(), chart()]) == "3 charts and 1 table of the run films"
    assert contents_line([chart(), tiles(), table()]) == "1 chart, 1 row of figures and 1 table of the run films"
    assert contents_line([table(), other]) == "2 tables of 2 data sets or runs"
    plain = table_entry("t", ["a"], [[1]], SOURCE._replace(run=""), DAY)
    assert contents_line([plain]) == "1 table of tiny"


def test_an_entry_states_data_settings_seed_machine_and_date() -> None:
    said = origin_line(chart())
    for part in (SOURCE.data, "films", "fine-tuned", "M=2 K=8", "Seed: 3", SOURCE.machine, "2026-11-30 22:05 UTC"):
        assert part in said
