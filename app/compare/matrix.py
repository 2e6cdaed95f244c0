"""The matrix of rivals: recall, speed and memory of each, better, the same or worse than SparCode's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pandas as pd
import streamlit as st

from app.components.data_table import data_table
from app.measured.rivals import Rival, Standing
from sparcode.comparison.peers import SERVED_BY
from sparcode.config import DEFAULT_K

# Words and symbols, so that colours need not be told apart.
_MARKS: Final[dict[Standing, str]] = {"better": ":green[▲ better]", "same": "≈ within ±{:.3f}", "worse": ":orange[▼ worse]"}
_TIMES: Final[dict[Standing, str]] = {"better": ":green[▲ faster]", "same": "≈ same", "worse": ":orange[▼ slower]"}
_SIZES: Final[dict[Standing, str]] = {"better": ":green[▲ smaller]", "same": "≈ same", "worse": ":orange[▼ larger]"}


def matrix(rows: Sequence[Rival]) -> None:
    """The matrix, by falling recall; nothing without rows."""
    if not rows:
        return
    said = "Every way to serve beside SparCode, by falling recall"
    data_table(matrix_of(rows), said, "compare-matrix", plain=True, hide_index=True, border="horizontal")
    st.caption(
        "Each beside SparCode (bold), at its least effort within 1% of its own best recall. ▲ better, ▼ worse; ≈ within noise: "
        "recall within ± two standard errors of the same users' differences, time within the quartiles between rounds, memory within 5%."
    )


def matrix_of(rows: Sequence[Rival]) -> pd.DataFrame:
    """The matrix as a table for people, in Markdown."""
    return pd.DataFrame([_row(row) for row in rows])


def _row(row: Rival) -> dict[str, str]:
    point, bold = row.point, "**" if row.is_sparcode else ""
    keeping = "keeping " if row.is_sparcode else ""
    recall, time, size = f"{point.recall:.3f}", f"{point.p50_ms.middle:.3f} ms", f"{point.size_bytes / 1e6:,.2f} MB"
    return {
        "way to serve": f"{bold}{point.name}{bold}",
        "how": keeping + point.setting if point.setting else SERVED_BY.get(point.name, ""),
        f"Recall@{DEFAULT_K}": _cell(recall, "" if row.is_sparcode else _MARKS[row.recall].format(row.noise)),
        "median time of a query": _cell(time, "" if row.is_sparcode else _TIMES[row.speed]),
        "memory": _cell(size, "" if row.is_sparcode else _SIZES[row.memory]),
    }


def _cell(number: str, mark: str) -> str:
    return f"{number} {mark}" if mark else f"**{number}**"
