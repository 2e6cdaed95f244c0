from __future__ import annotations

import streamlit as st


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.explorer.panel import explorer

    explorer()


st.title("Index Explorer")
st.markdown(
    "Move any choice: **recall**, **latency**, **index size** and **code usage** follow, computed by the real model on the real index. "
    "Drag the threshold and watch."
)
_panel()
