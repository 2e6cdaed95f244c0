from __future__ import annotations

import streamlit as st

from app.compare.panel import QUESTION, serving_comparison

st.title("Compare")
st.markdown(QUESTION)
serving_comparison()
