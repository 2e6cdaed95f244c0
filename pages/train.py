from __future__ import annotations

import streamlit as st


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.train.panel import training

    training()


st.title("Train")
st.markdown("Choose data, networks and codes, and watch a model being **trained from scratch**, beside its baselines and earlier runs.")
_panel()
