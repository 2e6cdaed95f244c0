from __future__ import annotations

import streamlit as st

from app.compare.panel import serving_comparison

st.title("Compare")
st.markdown(
    "What does SparCode's index win, and what does it cost? **Recall**, **latency** and **memory** beside two-tower search, the "
    "all-to-all model, EASE and item co-occurrence, measured on this machine with the same users."
)
serving_comparison()
