"""What is kept between reruns; the only place with cache decorators."""

from __future__ import annotations

import os
from typing import Final

import streamlit as st

from app.studio import Studio
from sparcode.config import IndexConfig, RunConfig
from sparcode.data.loading import load

# Names other data than the embedded one: a table, a MovieLens archive or folder, or the name of one fetched before.
DATA_VARIABLE: Final = "SPARCODE_DATA"
# Indexes with tens of thousands of lists are built a third faster in larger blocks; the result is the same.
BLOCK_CODES: Final = 256
# Asks for the backbone before any visitor does, and never leaves.
_SERVER: Final = "server"


def data_source() -> str:
    """The data the studio was started for, as `sparcode.data.loading.load` takes it."""
    return os.environ.get(DATA_VARIABLE) or "synthetic"


def run_config(synthetic: bool) -> RunConfig:
    """Settings that visitors do not change on a page, for synthetic or other data."""
    return RunConfig.for_data(synthetic, RunConfig(index=IndexConfig(block_codes=BLOCK_CODES)))


def studio() -> Studio:
    """The one studio of this process: data, models, indexes and jobs, shared by all visitors.

    Ends the page with a message where the data cannot be used.
    """
    source = data_source()
    try:
        return _opened(source)
    except (ValueError, OSError) as error:
        st.error(f"The data of {DATA_VARIABLE} = {source} cannot be used: {error}")
        st.markdown(
            f"To go on, start the studio without {DATA_VARIABLE} for the built-in data, or set it to a table with the columns user_id and "
            "item_id in which at least three users have five items or more."
        )
        st.stop()


def close_studio() -> None:
    """Stop all jobs of the studio, if there is one; the next visitor gets a new one."""
    _opened.clear()


@st.cache_resource(show_spinner="Reading the data ...", on_release=Studio.close)
def _opened(source: str) -> Studio:
    data = load(source)
    opened = Studio(data, run_config(data.synthetic))
    # Every page needs it sooner or later, and it takes the longest.
    opened.start_backbone(_SERVER)
    return opened
