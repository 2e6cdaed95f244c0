"""A data set as a chart and a table: sizes, histories, times, and what was left out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.charts.history_lengths import history_lengths_data, history_lengths_figure
from app.components.data_table import data_table
from app.components.live_chart import live_chart
from sparcode.data.profile import Profile

HEIGHT = 300


def data_profile(profile: Profile, key: str) -> None:
    """The histogram of history lengths beside all figures; `key` is unique on the page."""
    lengths = history_lengths_data(profile.edges, profile.counts, profile.median)
    with st.grid(2, min_column_width=340):
        live_chart(history_lengths_figure, lengths, key, f"Histogram of the lengths of histories. {lengths.title}.", HEIGHT)
        with st.container():
            data_table(profile_table(profile), "Figures of the data, and what was left out", f"{key}-table", hide_index=True)


def profile_table(profile: Profile) -> pd.DataFrame:
    """All figures of a profile with their names, then what was left out and why."""
    span = "none: the order within a history is arbitrary" if profile.time_span is None else " to ".join(profile.time_span)
    rows = [
        ("users", f"{profile.n_users:,}"),
        ("items", f"{profile.n_items:,}"),
        ("interactions", f"{profile.n_interactions:,}"),
        ("share of all pairs", f"{profile.density:.3%}"),
        ("items in a history", f"{profile.shortest:,} to {profile.longest:,}, mean {profile.mean:,.1f}"),
        ("the most popular 10% of items have", f"{profile.top_share:.0%} of the interactions"),
        ("times", span),
        *((f"left out: {reason}", f"{n:,}") for reason, n in profile.dropped.items()),
    ]
    return pd.DataFrame(rows, columns=["what", "value"])
