from __future__ import annotations

import streamlit as st

from app.components.training_panel import training

st.title("Train")
st.markdown("Choose data, networks and codes, and watch a model being **trained from scratch**, beside its baselines and earlier runs.")
training()
