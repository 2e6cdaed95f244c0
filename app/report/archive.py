"""A report as a .zip: a CSV for each entry, the pictures, figures, and the settings with the commands that train them again."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator

from app.report.entry import Chart, Entry, Table
from app.report.figure_table import csv_of, figure_table
from app.report.picture import svg_text
from app.report.rerun import RERUN_NOTE, Settings, settings_files
from app.report.store import Report
from app.report.words import contents_line, origin_line

_UNSAFE = re.compile(r"[^a-z0-9]+")


def archive(report: Report) -> bytes:
    """The file; ValueError for a report without entries."""
    if not report.entries:
        raise ValueError("the report is empty: add a chart, figures or a table first")
    packed, settings = io.BytesIO(), settings_files(report.entries)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("README.txt", _readme(report, settings))
        for one in settings:
            out.writestr(one.file, one.text)
        for place, entry in enumerate(report.entries, start=1):
            for ending, content in _files(entry):
                out.writestr(f"{_name(entry, place)}{ending}", content)
    return packed.getvalue()


def _files(entry: Entry) -> Iterator[tuple[str, str | bytes]]:
    content = entry.content
    if isinstance(content, Chart):
        yield ".csv", csv_of(figure_table(content.light))
        yield ".plotly.json", content.light
        if entry.picture:
            yield ".png", entry.picture
        if entry.drawing:
            yield ".svg", svg_text(entry.drawing)
    elif isinstance(content, Table):
        yield ".csv", csv_of(content)
    else:
        rows = tuple((tile.label, tile.value, tile.kind, tile.caption) for tile in content)
        yield ".csv", csv_of(Table(("figure", "value", "model", "about"), rows))


def _name(entry: Entry, place: int) -> str:
    """A file's name of plain letters, whatever the title."""
    words = _UNSAFE.sub("-", (entry.name or entry.title).lower()).strip("-")
    return f"{place:02d}-{words[:60].strip('-') or entry.kind.replace(' ', '-')}"


def _readme(report: Report, settings: list[Settings]) -> str:
    lines = [report.title, "=" * len(report.title), "", f"{contents_line(report.entries)}.", ""]
    for place, entry in enumerate(report.entries, start=1):
        lines += [f"{place}. {entry.title}", f"   {_name(entry, place)}.*", f"   {origin_line(entry)}"]
        lines += [f"   Note: {line}" for line in entry.note.splitlines()]
        lines.append("")
    if settings:
        lines += ["Run it again, in this folder", "", *(f"    {one.command}" for one in settings), "", RERUN_NOTE, ""]
    return "\n".join(lines)
