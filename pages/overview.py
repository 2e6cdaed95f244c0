from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.components.page_header import page_header


def _figures() -> None:
    # Loads the libraries of the models: what stands above is on the page by then.
    from app.overview.headline import headline
    from app.overview.panel import comparison, data_facts
    from app.overview.story import story
    from app.session import loaders

    studio = loaders.studio()
    with picture:
        headline(studio)
    with paths:
        story(studio)
    st.header("How good is it?")
    comparison(studio)
    st.header("The data")
    data_facts(studio)


page_header("SparCode Studio")
picture = st.container()
st.markdown(
    "Two-tower models pick candidates with one vector per user, one per item and a dot product: fast, but user and item never meet before "
    "the last step. **SparCode** ([Su et al., SIGIR 2023](https://arxiv.org/abs/2311.18213)) lets them meet and stays fast: a user becomes "
    "a few **codes**, a network scores every code and item ahead of time, and what is above a **threshold** is kept in a **sparse inverted "
    "index**. Serving a user means adding up a few of its lists."
)
st.header("One query, two paths")
paths = st.container()
# Streamlit looks relative paths up from the entry script's folder, which is not this one.
for file, label in (
    ("index_explorer.py", "**Open the Index Explorer →** Move codebooks and threshold, watch recall, latency and size"),
    ("train.py", "**Train →** Watch a model learn from scratch, beside its baselines and earlier runs"),
    ("compare.py", "**Compare →** Measure SparCode beside two-tower search on this machine"),
    ("scale.py", "**Scale →** Grow the catalogue to a million items, and see from where on the index pays"),
    ("query.py", "**Inside a query →** Follow one user from history to codes, lists and scores"),
    ("lessons.py", "**Lessons →** Ten questions about the method: predict, measure, and read what the figures say"),
):
    st.page_link(Path(__file__).with_name(file), label=label)
_figures()
