"""One entry of a visitor's report: a chart, a row of figures or a table, with what it was measured on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

# Characters of what a visitor writes.
LONGEST_TITLE: Final = 200
LONGEST_NOTE: Final = 2_000
# Of one figure's JSON, and of one table.
FIGURE_BYTES: Final = 4 * 2**20
TABLE_CELLS: Final = 50_000
TABLE_BYTES: Final = 2 * 2**20

Cell = str | int | float | None


class Source(NamedTuple):
    """What the figures of an entry are of.

    Attributes
    ----------
    page
        Title of the page it was added on.
    run
        Name of the kept run, empty for data without one.
    data
        Name and size of the data, in words.
    called
        Kind of the model: preview, fine-tuned, ...; empty where several kinds are shown.
    config
        All settings, as JSON; empty where the entry is of the data alone.
    setting
        The settings that tell it from others, in words.
    seed
        Of training.
    machine
        That the figures were measured on.
    data_flags
        What the command line is given to read the same data.
    """

    page: str
    run: str = ""
    data: str = ""
    called: str = ""
    config: str = ""
    setting: str = ""
    seed: int = 0
    machine: str = ""
    data_flags: str = ""


class Chart(NamedTuple):
    """A Plotly figure for a light and for a dark background, as JSON of `data` and `layout`."""

    light: str
    dark: str


class Tile(NamedTuple):
    """One large number with what is written around it."""

    label: str
    value: str
    caption: str = ""
    kind: str = ""


class Table(NamedTuple):
    """Names of columns, and rows of as many cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


Content = Chart | tuple[Tile, ...] | Table


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes
    ----------
    title
        What it says, for a slide's title.
    name
        What it shows, empty where the title says it.
    day
        When it was added, ISO 8601 in UTC to the minute.
    note
        Of the visitor.
    picture
        A chart on a light background as PNG, drawn by the visitor's browser; empty until then.
    drawing
        The same as SVG, compressed; see `app.report.picture.svg_text`.
    number
        Tells it from the others of a report; given by `app.report.store.Reports`.
    """

    title: str
    content: Content
    source: Source
    day: str
    name: str = ""
    note: str = ""
    picture: bytes = b""
    drawing: bytes = b""
    number: int = 0

    @property
    def kind(self) -> str:
        """``chart``, ``row of figures`` or ``table``."""
        return "chart" if isinstance(self.content, Chart) else "table" if isinstance(self.content, Table) else "row of figures"

    @property
    def n_bytes(self) -> int:
        """Bytes that it counts for."""
        content = self.content
        if isinstance(content, Chart):
            size = len(content.light) + len(content.dark)
        elif isinstance(content, Table):
            size = _table_bytes(content)
        else:
            size = sum(len(text) for tile in content for text in tile)
        return size + len(self.picture) + len(self.drawing) + len(self.title) + len(self.note) + len(self.source.config) + 500


def chart_entry(light: str, dark: str, source: Source, day: str) -> Entry:
    """An entry of a chart, titled by its own takeaway.

    Parameters
    ----------
    light, dark
        Figures as JSON with `data` and `layout`, as `app.charts.frame.Figure.to_json` gives them.

    Raises
    ------
    ValueError
        If a figure is larger than `FIGURE_BYTES`, or is none.
    """
    for text in (light, dark):
        if len(text) > FIGURE_BYTES:
            raise ValueError(f"a chart of {len(text) / 1e6:.1f} MB is too large for a report, which takes {FIGURE_BYTES / 1e6:.1f} MB")
    figure = _figure(light)
    _figure(dark)
    title = figure["layout"].get("title", {})
    text = plain(title.get("text", ""))
    return Entry(text[:LONGEST_TITLE] or "Chart", Chart(light, dark), source, day, plain(title.get("subtitle", {}).get("text", "")))


def tiles_entry(tiles: Sequence[Tile], source: Source, day: str) -> Entry:
    """An entry of large numbers, titled by the first four; ValueError without any."""
    if not tiles:
        raise ValueError("there are no figures to add to the report yet")
    said = ", ".join(f"{tile.label} {tile.value}" for tile in tiles[:4])
    return Entry(said[:LONGEST_TITLE], tuple(tiles), source, day)


def table_entry(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], source: Source, day: str) -> Entry:
    """An entry of a table; numbers stay numbers, anything else becomes text.

    ValueError for a table without columns or rows, or of more than `TABLE_CELLS` cells or `TABLE_BYTES` bytes.
    """
    if not columns or not rows:
        raise ValueError("the table is empty, so there is nothing to add to the report")
    if len(columns) * len(rows) > TABLE_CELLS:
        raise ValueError(f"a table of {len(columns) * len(rows):,} cells is too large for a report, which takes {TABLE_CELLS:,}")
    table = Table(tuple(map(str, columns)), tuple(tuple(map(_cell, row)) for row in rows))
    if (size := _table_bytes(table)) > TABLE_BYTES:
        raise ValueError(f"a table of {size / 1e6:.1f} MB is too large for a report, which takes {TABLE_BYTES / 1e6:.1f} MB")
    return Entry(title[:LONGEST_TITLE], table, source, day)


def with_words(entry: Entry, title: str, note: str) -> Entry:
    """The entry with a visitor's own title and note, without control characters; an empty title leaves the one it has."""
    return replace(entry, title=_written(title, LONGEST_TITLE).replace("\n", " ") or entry.title, note=_written(note, LONGEST_NOTE))


def plain(text: Any) -> str:
    """A title without the few HTML tags that Plotly knows."""
    for tag in ("<br>", "<br/>"):
        text = str(text).replace(tag, " ")
    for tag in ("<b>", "</b>", "<i>", "</i>", "<sub>", "</sub>", "<sup>", "</sup>"):
        text = text.replace(tag, "")
    return text.strip()


def _written(text: str, longest: int) -> str:
    return "".join(sign for sign in text if sign == "\n" or sign.isprintable()).strip()[:longest]


def _figure(text: str) -> dict[str, Any]:
    figure = json.loads(text)
    is_one = isinstance(figure, dict) and isinstance(figure.get("data"), list) and isinstance(figure.get("layout"), dict)
    if not is_one:
        raise ValueError("a chart must be a JSON object with a list 'data' and an object 'layout'")
    return figure


def _cell(value: Any) -> Cell:
    # NumPy's numbers are not JSON's.
    value = value.item() if hasattr(value, "item") else value
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, bool) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) else str(value)


def _table_bytes(table: Table) -> int:
    return sum(len(cell) if isinstance(cell, str) else 8 for row in (table.columns, *table.rows) for cell in row)
