"""Key numbers of the data."""

from __future__ import annotations

import streamlit as st

from app.session import loaders


def data_facts() -> None:
    """Sizes of the data set and its split, and whether it is synthetic."""
    studio = loaders.studio()
    data, split = studio.interactions, studio.split
    if data.synthetic:
        st.info(
            f"**This is synthetic data**, made up by this project: {data.name}. It shows how the method behaves, not how well it does on "
            "real users."
        )
    else:
        st.markdown(f"**{data.name}**")
    with st.grid(3, min_column_width=170):
        st.metric("Users", f"{data.n_users:,}", border=True)
        st.metric("Items", f"{data.n_items:,}", border=True)
        st.metric("Interactions", f"{data.n_interactions:,}", border=True)
    st.markdown(
        f"Users are split: {len(split.train):,} train the models, {len(split.validation.queries):,} choose between epochs, and "
        f"{len(split.test.queries):,} are kept for the figures on these pages. Of those, the models see the first "
        f"{1 - studio.config.split.target_share:.0%} of a history and are to find the rest."
    )
