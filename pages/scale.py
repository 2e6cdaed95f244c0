from __future__ import annotations

import streamlit as st


def _panel() -> None:
    # Loads the libraries of the models: the title is on the page by then.
    from app.scale.panel import scale

    scale()


st.title("Scale")
_panel()
