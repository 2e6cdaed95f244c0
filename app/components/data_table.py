"""A table that can be added to the visitor's report."""

from __future__ import annotations

import re
from typing import Any, Final

import pandas as pd
import streamlit as st

from app.components.column_tips import column_tips
from app.components.report_button import report_button
from app.report.entry import Entry, Source, table_entry

# Colours, bold type and escapes of Markdown: what is inside stays.
_COLOURED: Final = re.compile(r":\w+\[(.*?)\]")
_ESCAPED: Final = re.compile(r"\\([^\w\s])")


def data_table(table: pd.DataFrame, alt: str, key: str, plain: bool = False, **options: Any) -> None:
    """Draw a table with a button below it that adds it to the report.

    Parameters
    ----------
    alt
        Text alternative, and the entry's title.
    key
        Unique on the page.
    plain
        Whether to draw it as text, in which cells may be Markdown, and not as a table that can be sorted.
    options
        As for `st.table` or `st.dataframe`, whose columns explain themselves by `column_tips` unless told otherwise; an index that is
        not hidden becomes the first column of the entry.
    """
    if plain:
        st.table(table, alt=alt, **options)
    else:
        st.dataframe(table, alt=alt, key=key, **{"column_config": column_tips(table), **options})
    add_table_button(table, alt, key, plain, is_indexed=not options.get("hide_index"))


def add_table_button(table: pd.DataFrame, title: str, key: str, plain: bool = False, is_indexed: bool = False) -> None:
    """A button that adds a table to the report under a title; `key` and `plain` as for `data_table`, `is_indexed`: its index is shown."""

    def make(source: Source, day: str) -> Entry:
        shown = table.reset_index() if is_indexed else table
        rows = [[_text(cell) if plain else cell for cell in row] for row in shown.itertuples(index=False, name=None)]
        return table_entry(title, [str(name) for name in shown.columns], rows, source, day)

    report_button(make, f"This table: {title}", key, disabled=table.empty)


def _text(cell: Any) -> Any:
    """Markdown as text."""
    return _ESCAPED.sub(r"\1", _COLOURED.sub(r"\1", cell).replace("**", "")) if isinstance(cell, str) else cell
