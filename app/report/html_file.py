"""A report as one HTML file that needs nothing else: Plotly, figures, tables and notes are inside, and it asks nothing of the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

from app.report.entry import Cell, Chart, Entry, Table
from app.report.rerun import RERUN_NOTE, settings_files
from app.report.store import Report
from app.report.words import contents_line, origin_lines
from app.server.plotly_asset import bundle_for, trace_types

# Nothing from elsewhere: should anything in the file name another place, the browser does not ask for it.
_POLICY: Final = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_STYLE: Final = Path(__file__).with_name("html_file.css")
_SCRIPT: Final = Path(__file__).with_name("html_file.js")


def html_file(report: Report) -> bytes:
    """The file, UTF-8; ValueError for a report without entries."""
    if not report.entries:
        raise ValueError("the report is empty: add a chart, figures or a table first")
    return "".join(_parts(report)).encode()


def _parts(report: Report) -> Iterator[str]:
    yield f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(report.title)}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
    yield f"<h1>{escape(report.title)}</h1>\n<p>{escape(contents_line(report.entries))}.</p>\n"
    charts = [entry.content for entry in report.entries if isinstance(entry.content, Chart)]
    if charts:
        yield "<noscript><p>The charts of this file are drawn by JavaScript, which is switched off.</p></noscript>\n"
    for place, entry in enumerate(report.entries, start=1):
        yield from _entry(entry, place)
    yield from _again(report)
    yield "</main>\n"
    if charts:
        plotly = bundle_for({kind for chart in charts for kind in trace_types(chart.light)}).path
        yield f"<script>{_in_script(plotly.read_text(encoding='utf-8'))}</script>\n"
        yield f"<script>\n{_SCRIPT.read_text(encoding='utf-8')}</script>\n"
    yield "</body>\n</html>\n"


def _entry(entry: Entry, place: int) -> Iterator[str]:
    content = entry.content
    yield f'<section id="entry-{place}">\n<h2>{place}. {escape(entry.title)}</h2>\n'
    if isinstance(content, Chart):
        yield f'<div class="chart" role="img" aria-label="{escape(entry.title)}"></div>\n'
        yield f'<script type="application/json">{{"light": {_json(content.light)}, "dark": {_json(content.dark)}}}</script>\n'
    elif isinstance(content, Table):
        yield from _table(content)
    else:
        yield '<dl class="tiles">\n'
        for tile in content:
            below = " · ".join(filter(None, (tile.kind, tile.caption)))
            yield f"<div><dt>{escape(tile.label)}</dt><dd>{escape(tile.value)}</dd><dd class='below'>{escape(below)}</dd></div>\n"
        yield "</dl>\n"
    if entry.note:
        yield f'<p class="note">{escape(entry.note)}</p>\n'
    yield '<dl class="origin">\n'
    yield from (f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>\n" for name, text in origin_lines(entry))
    if entry.source.config:
        yield f"<div><dt>Config</dt><dd><details><summary>all settings</summary><pre>{escape(_pretty(entry))}</pre></details></dd></div>\n"
    yield "</dl>\n</section>\n"


def _table(table: Table) -> Iterator[str]:
    yield '<div class="table" tabindex="0" role="region" aria-label="Table, may be scrolled">\n<table>\n<thead><tr>'
    yield from (f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    yield "</tr></thead>\n<tbody>\n"
    for row in table.rows:
        yield f"<tr>{''.join(_cell(cell) for cell in row)}</tr>\n"
    yield "</tbody>\n</table>\n</div>\n"


def _cell(cell: Cell) -> str:
    look = ' class="number"' if isinstance(cell, (int, float)) else ""
    return f"<td{look}>{escape(cell_text(cell))}</td>"


def cell_text(cell: Cell) -> str:
    """A cell for people: whole numbers with all their digits, others with six."""
    if cell is None:
        return ""
    return f"{cell:.6g}" if isinstance(cell, float) else f"{cell:,}" if isinstance(cell, int) else cell


def _again(report: Report) -> Iterator[str]:
    settings = settings_files(report.entries)
    if not settings:
        return
    yield f"<section>\n<h2>Run it again</h2>\n<p>{escape(RERUN_NOTE)}</p>\n"
    for one in settings:
        which = f"Entr{'y' if len(one.numbers) == 1 else 'ies'} {', '.join(map(str, one.numbers))}"
        yield f"<p>{which}: save as {escape(one.file)}, then</p>\n<pre>{escape(one.command)}</pre>\n"
        yield f"<details><summary>{escape(one.file)}</summary><pre>{escape(one.text)}</pre></details>\n"
    yield "</section>\n"


def _pretty(entry: Entry) -> str:
    return json.dumps(json.loads(entry.source.config), indent=1)


def _json(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c")


def _in_script(text: str) -> str:
    return text.replace("</script", "<\\/script")
