"""The Overview's headline: time per query over catalogue size, and when SparCode pays, from the measurement of the studio's own setting."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.charts.growth import growth_figure, time_data
from app.components.live_chart import live_chart
from app.components.provenance import kind_badge
from app.measured.scale_words import answer
from app.measured.threshold_stops import SCALE_PERCENT, share_of
from app.session import loaders
from sparcode.comparison.growth_lines import at_share

HEIGHT: Final = 340


def headline() -> None:
    """The answer in words and the chart behind it; nothing before the page Scale has measured or a recording has it."""
    studio = loaders.studio()
    result = studio.scaling.result(studio.config)
    if result is None:
        return
    share = share_of(SCALE_PERCENT)
    said = answer(result.points, share)
    st.markdown(f"#### {said}")
    data = time_data(at_share(result.points, share), result.n_items)
    live_chart(growth_figure, data, "overview-scale", f"{data.title} over catalogue size. {said}", HEIGHT)
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(result.kind, result.recording)
        where = "on this machine" if result.recording is None else result.recording.words
        st.caption(
            f"SparCode keeps {SCALE_PERCENT}% of its scores. The catalogue of {result.data_name} ({result.n_items:,} items) is grown by "
            f"items drawn from its own; measured {where}."
        )
