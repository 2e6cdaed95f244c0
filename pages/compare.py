from __future__ import annotations

import streamlit as st

from app.compare.panel import serving_comparison

st.title("Compare")
st.markdown(
    "What does SparCode's index win, and what does it cost? **Recall**, **latency** and **memory** beside two-tower search and the "
    "all-to-all model, measured here and now on the same users."
)
serving_comparison()
