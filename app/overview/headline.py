"""The Overview's headline: time per query over catalogue size, and when SparCode pays, from the measurement of the studio's own setting."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.charts.growth import growth_figure, time_data
from app.components.live_chart import live_chart
from app.components.provenance import data_name, kind_badge
from app.measured.scale_words import ENOUGH, at_real_size, beside_rivals
from app.measured.scale_words import headline as headline_text
from app.session.report import FiguresOf, figures_are_of
from app.studio import Studio
from sparcode.comparison.growth_lines import at_enough

HEIGHT: Final = 340


def headline(studio: Studio) -> None:
    """The answer in words and the chart behind it; nothing before the page Scale has measured or a recording has it."""
    result = studio.scaling.widest(studio.config)
    if result is None:
        return
    chosen, said = at_enough(result.points, ENOUGH), headline_text(result.points)
    st.markdown(f"#### {said}")
    if real := at_real_size(chosen, result.n_items):
        st.markdown(real)
    figures_are_of(FiguresOf("Overview", studio, studio.config, result.kind, result.recording))
    data = time_data(chosen, result.n_items)
    live_chart(growth_figure, data, "overview-scale", f"{data.title} over catalogue size. {said}", HEIGHT)
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(result.kind, result.recording)
        where = "on this machine" if result.recording is None else result.recording.words
        where += f", {result.load_words}" if result.load_words else ""
        st.caption(f"{data_name(studio)}, {result.n_items:,} items, grown by items drawn from its own; measured {where}.")
    if beside := beside_rivals(chosen):
        st.markdown(beside)
