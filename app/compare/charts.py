"""The two recall charts of a measurement."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.charts.serving_points import bytes_data, latency_data, out_of_view, serving_points_figure
from app.components.live_chart import live_chart
from sparcode.comparison.measuring import Measurement

HEIGHT = 480


def serving_charts(points: Sequence[Measurement], takeaway: str) -> None:
    """Recall against latency, and against memory; `takeaway` is the text alternative."""
    charts = (("chart-serving-latency", latency_data(points)), ("chart-serving-bytes", bytes_data(points)))
    with st.grid(2, min_column_width=480):
        for key, data in charts:
            alt = f"{data.title} of {len(points)} settings. {takeaway}"
            live_chart(serving_points_figure, data, key, alt, HEIGHT)
    if not points:
        return
    hidden = out_of_view(charts[1][1])
    note = f" {hidden} settings with much lower recall lie below what is shown; they are in the table." if hidden else ""
    st.caption(
        "To the upper left is better. The grey staircase is the Pareto front: no measured setting has more recall at the same cost or "
        "less. Bars are the quartiles of the median over rounds; memory is counted and has no noise. Every line goes through the settings "
        f"of one way to serve.{note}"
    )
