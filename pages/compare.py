from __future__ import annotations

import streamlit as st

from app.compare.panel import serving_comparison

st.title("Compare")
serving_comparison()
