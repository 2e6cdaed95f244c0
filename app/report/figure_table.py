"""The numbers behind a Plotly figure as a table, as the corner of a chart saves them: one row a point, one block a trace."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import numpy as np

from app.report.entry import Cell, Table, plain

_TYPES: Final = {"f8": "<f8", "f4": "<f4", "i4": "<i4", "u4": "<u4", "i2": "<i2", "u2": "<u2", "i1": "i1", "u1": "u1"}
# A spreadsheet runs a text that begins like this as a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def figure_table(figure: str) -> Table:
    """Every drawn point: its series, x and y under their axes' titles, z of a heat map, and what `app.charts.frame.name_columns` names.

    Parameters
    ----------
    figure
        JSON of `data` and `layout`; arrays may be lists or Plotly's typed arrays.

    Raises
    ------
    ValueError
        If a typed array has an unknown type.
    """
    parsed = json.loads(figure)
    layout = parsed["layout"]
    named = (layout.get("meta") or {}).get("columns") or {}
    traces = [trace for trace in parsed["data"] if trace.get("mode") != "none" and (trace.get("name") or trace.get("hoverinfo") != "skip")]
    heads = [plain(named.get(axis) or layout.get(f"{axis}axis", {}).get("title", {}).get("text") or axis) for axis in ("x", "y")]
    has_z, beside = any("z" in trace for trace in traces), list(named.get("customdata") or [])
    more = [*(["value"] if has_z else []), *([str(named["text"])] if "text" in named else []), *beside]
    rows = [
        (plain(trace.get("name") or ""), *point)
        for trace in traces
        for point in (_cells(trace) if "z" in trace else _points(trace, "text" in named, len(beside), has_z))
    ]
    return Table(("series", *heads, *more), tuple(rows))


def csv_of(table: Table) -> str:
    """A table as CSV; text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in (table.columns, *table.rows):
        writer.writerow(["" if cell is None else _harmless(cell) for cell in row])
    return out.getvalue()


def _points(trace: dict[str, Any], with_text: bool, n_beside: int, has_z: bool) -> Iterator[tuple[Cell, ...]]:
    x, y, text = (_values(trace.get(name)).ravel().tolist() for name in ("x", "y", "text"))
    custom = _values(trace.get("customdata"))
    for place, point in enumerate(zip(x, y, strict=False)):
        if any(_is_missing(value) for value in point):
            continue
        cells = [*point, *([None] if has_z else [])]
        if with_text:
            cells.append(text[place] if place < len(text) else None)
        known = np.atleast_1d(custom[place]).tolist() if n_beside and place < len(custom) else []
        yield tuple(map(_plain, [*cells, *(known + [None] * n_beside)[:n_beside]]))


def _cells(trace: dict[str, Any]) -> Iterator[tuple[Cell, ...]]:
    """Every cell of a heat map."""
    z = _values(trace["z"])
    if z.ndim != 2:
        return
    x, y = (_values(trace.get(name)).ravel().tolist() or list(range(size)) for name, size in (("x", z.shape[1]), ("y", z.shape[0])))
    for row, column in product(range(z.shape[0]), range(z.shape[1])):
        yield tuple(map(_plain, (x[column], y[row], z[row, column])))


def _values(value: Any) -> np.ndarray:
    if isinstance(value, dict):
        if value.get("dtype") not in _TYPES:
            raise ValueError(f"dtype of a typed array must be one of {', '.join(_TYPES)}; got {value.get('dtype')!r}")
        found = np.frombuffer(base64.b64decode(value["bdata"]), _TYPES[value["dtype"]])
        shape = value.get("shape")
        return found if shape is None else found.reshape([int(size) for size in str(shape).split(",")])
    listed = value if isinstance(value, list) else []
    if listed and all(isinstance(row, list) and len(row) == len(listed[0]) for row in listed):
        return np.array(listed, dtype=object)
    made = np.empty(len(listed), dtype=object)
    for place, one in enumerate(listed):
        made[place] = one
    return made


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _plain(value: Any) -> Cell:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, int):
        return value
    return plain(value)


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) and not _is_number(cell) else cell


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
