"""A report as a presentation (.pptx): a title, then one entry a slide, with its takeaway as title and all about it in the notes."""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any, Final

from pptx import Presentation
from pptx.dml.color import RGBColor
from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
from pptx.util import Emu, Inches, Pt

from app.report.entry import Cell, Chart, Entry, Table, Tile
from app.report.html_file import cell_text
from app.report.picture import HEIGHT, WIDTH
from app.report.rerun import RERUN_NOTE, settings_files
from app.report.store import Report
from app.report.words import contents_line, origin_lines
from app.theme import GRID_LIGHT, PRIMARY_LIGHT, TEXT_LIGHT

# 16:9.
_WIDE, _HIGH = Inches(13.333), Inches(7.5)
_MARGIN: Final = Inches(0.5)
_TOP: Final = Inches(1.35)
_TITLE_ONLY: Final = 5
# What fits legibly on one slide; the rest is named, and is in the other exports.
MOST_ROWS: Final = 12
MOST_COLUMNS: Final = 8
MOST_TILES: Final = 8


def slides(report: Report) -> bytes:
    """The file; ValueError for a report without entries, or if the picture of a chart is missing."""
    if not report.entries:
        raise ValueError("the report is empty: add a chart, figures or a table first")
    missing = [place for place, one in enumerate(report.entries, start=1) if isinstance(one.content, Chart) and not one.picture]
    if missing:
        raise ValueError(f"the pictures of entries {', '.join(map(str, missing))} are not drawn yet; open the page Report once")
    shown = Presentation()
    shown.slide_width, shown.slide_height = _WIDE, _HIGH
    shown.core_properties.title, shown.core_properties.author = report.title, "SparCode Studio"
    _first(shown, report)
    commands = {place: one.command for one in settings_files(report.entries) for place in one.numbers}
    for place, entry in enumerate(report.entries, start=1):
        _slide(shown, entry, commands.get(place, ""))
    out = io.BytesIO()
    shown.save(out)
    return out.getvalue()


def _first(shown: Any, report: Report) -> None:
    slide = shown.slides.add_slide(shown.slide_layouts[_TITLE_ONLY])
    _title(slide, report.title, Pt(44), Inches(2.4))
    last = max(entry.day for entry in report.entries)
    day = datetime.fromisoformat(last)
    _text(slide, f"{contents_line(report.entries)}\n{day.day} {day:%B %Y}", _MARGIN, Inches(3.9), _WIDE - 2 * _MARGIN, Inches(1.2), Pt(22))


def _slide(shown: Any, entry: Entry, command: str) -> None:
    slide = shown.slides.add_slide(shown.slide_layouts[_TITLE_ONLY])
    _title(slide, entry.title, Pt(30 if len(entry.title) < 45 else 24), Inches(0.3))
    content = entry.content
    bottom = _HIGH - Inches(0.95 if entry.note else 0.5)
    if isinstance(content, Chart):
        _picture(slide, entry, bottom)
    elif isinstance(content, Table):
        _table(slide, content)
    else:
        _tiles(slide, content)
    if entry.note:
        first = entry.note.splitlines()[0]
        _text(slide, first if len(first) <= 160 else f"{first[:157]}...", _MARGIN, bottom, _WIDE - 2 * _MARGIN, Inches(0.45), Pt(18))
    source = " · ".join(filter(None, (entry.source.run, entry.source.data.partition(":")[0], entry.day[:10])))
    _text(slide, source, _MARGIN, _HIGH - Inches(0.48), _WIDE - 2 * _MARGIN, Inches(0.35), Pt(12))
    slide.notes_slide.notes_text_frame.text = _notes(entry, command)


def _notes(entry: Entry, command: str) -> str:
    lines = [entry.title, *([entry.note] if entry.note else []), "", *(f"{name}: {text}" for name, text in origin_lines(entry))]
    if entry.source.config:
        lines += ["", f"Run it again: {command}", RERUN_NOTE, "", "Config:", json.dumps(json.loads(entry.source.config))]
    return "\n".join(lines)


def _title(slide: Any, text: str, size: Pt, top: Emu) -> None:
    title = slide.shapes.title
    title.left, title.top, title.width, title.height = _MARGIN, top, _WIDE - 2 * _MARGIN, Inches(1.0)
    title.text = text
    frame = title.text_frame
    frame.word_wrap, frame.auto_size, frame.vertical_anchor = True, MSO_AUTO_SIZE.NONE, MSO_ANCHOR.MIDDLE
    for paragraph in frame.paragraphs:
        paragraph.alignment = PP_ALIGN.LEFT
        paragraph.font.size, paragraph.font.bold, paragraph.font.color.rgb = size, True, _colour(TEXT_LIGHT)


def _picture(slide: Any, entry: Entry, bottom: Emu) -> None:
    """As large as it fits between title and note, in its own proportions."""
    room_wide, room_high = _WIDE - 2 * _MARGIN, bottom - _TOP
    wide = min(room_wide, room_high * WIDTH // HEIGHT)
    high = wide * HEIGHT // WIDTH
    picture = slide.shapes.add_picture(io.BytesIO(entry.picture), (_WIDE - wide) // 2, _TOP + (room_high - high) // 2, wide, high)
    picture.name = entry.name or entry.title
    # The text alternative.
    picture._element.nvPicPr.cNvPr.set("descr", f"Chart: {entry.title}")


def _table(slide: Any, table: Table) -> None:
    """A table of the presentation's own, with as many rows and columns as can be read."""
    columns, rows = table.columns[:MOST_COLUMNS], table.rows[:MOST_ROWS]
    frame = slide.shapes.add_table(len(rows) + 1, len(columns), _MARGIN, _TOP, _WIDE - 2 * _MARGIN, Inches(0.38) * (len(rows) + 1))
    lengths = [max(len(name), *(len(cell_text(row[at])) for row in rows)) for at, name in enumerate(columns)]
    shares = [min(40, max(6, length)) for length in lengths]
    for at, share in enumerate(shares):
        frame.table.columns[at].width = int((_WIDE - 2 * _MARGIN) * share / sum(shares))
    for at, name in enumerate(columns):
        _fill(frame.table.cell(0, at), name, True)
        for line, row in enumerate(rows, start=1):
            _fill(frame.table.cell(line, at), row[at], False)
    left_out = [
        f"{shown} of {total} {what}"
        for shown, total, what in ((len(rows), len(table.rows), "rows"), (len(columns), len(table.columns), "columns"))
        if shown < total
    ]
    if left_out:
        words = f"Shown: {', '.join(left_out)}; all are in the HTML file and the ZIP of this report."
        _text(slide, words, _MARGIN, _HIGH - Inches(1.3), _WIDE - 2 * _MARGIN, Inches(0.35), Pt(12))


def _fill(cell: Any, value: Cell, is_head: bool) -> None:
    cell.text = cell_text(value)
    paragraph = cell.text_frame.paragraphs[0]
    paragraph.font.size, paragraph.font.bold = Pt(14), is_head
    cell.margin_top = cell.margin_bottom = Inches(0.03)
    if isinstance(value, (int, float)):
        paragraph.alignment = PP_ALIGN.RIGHT


def _tiles(slide: Any, tiles: tuple[Tile, ...]) -> None:
    """Large numbers, at most four in a row."""
    shown = tiles[:MOST_TILES]
    across = min(4, len(shown))
    gap = Inches(0.25)
    wide = Emu((_WIDE - 2 * _MARGIN - gap * (across - 1)) // across)
    high = Inches(2.3)
    for place, tile in enumerate(shown):
        left, top = _MARGIN + (place % across) * (wide + gap), _TOP + Inches(0.2) + (place // across) * (high + gap)
        box = slide.shapes.add_textbox(left, top, wide, high)
        box.line.color.rgb = _colour(GRID_LIGHT)
        frame = box.text_frame
        frame.word_wrap = True
        # As large as the box is wide; a sign is about two thirds as wide as it is high.
        size = max(14, min(48, int((wide.pt - 16) / (0.66 * max(1, len(tile.value))))))
        texts = ((tile.label, Pt(20), TEXT_LIGHT), (tile.value, Pt(size), PRIMARY_LIGHT), (_below(tile), Pt(14), TEXT_LIGHT))
        for number, (text, font, colour) in enumerate(texts):
            paragraph = frame.paragraphs[0] if number == 0 else frame.add_paragraph()
            paragraph.text = text
            paragraph.font.size, paragraph.font.color.rgb = font, _colour(colour)


def _below(tile: Tile) -> str:
    return " · ".join(filter(None, (tile.kind, tile.caption)))


def _text(slide: Any, text: str, left: Emu, top: Emu, wide: Emu, high: Emu, size: Pt) -> None:
    frame = slide.shapes.add_textbox(left, top, wide, high).text_frame
    frame.word_wrap = True
    frame.text = text
    for paragraph in frame.paragraphs:
        paragraph.font.size, paragraph.font.color.rgb = size, _colour(TEXT_LIGHT)


def _colour(text: str) -> RGBColor:
    return RGBColor.from_string(text.removeprefix("#"))
