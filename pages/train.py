from __future__ import annotations

import streamlit as st

from app.components.page_header import page_header


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.train.panel import training

    training()


page_header("Train")
st.markdown("Choose data, networks and codes, and watch a model being **trained from scratch**, beside its baselines and earlier runs.")
_panel()
