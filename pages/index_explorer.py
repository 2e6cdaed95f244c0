from __future__ import annotations

import streamlit as st

from app.components.explorer import explorer

st.title("Index Explorer")
st.markdown(
    "Move any choice: **recall**, **latency**, **index size** and **code usage** follow, computed by the real model on the real index. "
    "Drag the threshold and watch."
)
explorer()
