"""What the data is, in a few numbers."""

from __future__ import annotations

import streamlit as st

from app import loaders
from app.components.provenance import data_line


def data_facts() -> None:
    """Sizes of the data set and its split, and that it is synthetic where it is."""
    studio = loaders.studio()
    data, split = studio.interactions, studio.split
    if data.synthetic:
        st.info(f"**This is synthetic data.** {data_line(studio)}. It shows how the method behaves, not how well it does on real users.")
    else:
        st.markdown(data_line(studio))
    with st.grid(4, min_column_width=170):
        st.metric("Users", f"{data.n_users:,}", border=True)
        st.metric("Items", f"{data.n_items:,}", border=True)
        st.metric("Interactions", f"{data.n_interactions:,}", border=True)
        held_out = f"{len(split.train):,} / {len(split.validation.queries):,} / {len(split.test.queries):,}"
        st.metric("Train / validation / test users", held_out, border=True)
