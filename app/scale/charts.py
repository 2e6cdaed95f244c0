"""The four charts over catalogue size: time, memory, share found, build time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.charts.growth import growth_data, growth_figure, growth_looks, point_text
from app.components.live_chart import live_chart
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.peers import SPARCODE

HEIGHT: Final = 420


def growth_charts(points: Sequence[GrowthPoint], every_share: Sequence[GrowthPoint], real_size: int, takeaway: str) -> None:
    """Draw all; `points` are of one share, `every_share` has SparCode's at all measured ones, which the axes have room for."""
    with st.grid(2, min_column_width=480):
        for key, look, value in growth_looks(real_size):
            room = tuple(value(point) for point in every_share if point.name == SPARCODE and value(point) > 0)
            data = growth_data(look._replace(range_=room), points, value, point_text)
            live_chart(growth_figure, data, key, f"{look.title}. {takeaway}", HEIGHT)
