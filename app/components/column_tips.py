"""Help of table columns, from the glossary."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from sparcode.glossary import about_label


def column_tips(table: pd.DataFrame) -> dict[str, ColumnConfig]:
    """`column_config` of `st.dataframe`: what a column's header says of it, for columns whose header the glossary knows."""
    names = [str(name) for name in (*table.columns, table.index.name) if name is not None]
    return {name: st.column_config.Column(help=tip) for name in names if (tip := about_label(name))}
