"""What is kept between reruns; the only place with cache decorators."""

from __future__ import annotations

import streamlit as st

from app.studio import Studio
from sparcode.config import RunConfig, SyntheticConfig
from sparcode.data.loading import load


def data_config() -> SyntheticConfig:
    """The embedded data."""
    return SyntheticConfig()


def run_config() -> RunConfig:
    """Settings that visitors do not change on a page."""
    return RunConfig()


@st.cache_resource(show_spinner="Making the data ...", on_release=Studio.close)
def studio() -> Studio:
    """The one studio of this process: data, models, indexes and jobs, shared by all visitors."""
    return Studio(load(data_config()), run_config())
