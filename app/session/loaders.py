"""Objects cached between reruns; the only place with cache decorators."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import streamlit as st

from app.recorded.runs import RecordedRuns
from app.session.visitor import enter_in_tab
from app.studio import Studio
from sparcode.config import IndexConfig, RunConfig
from sparcode.data.loading import load

# Environment variable for other data: a table, a MovieLens archive or folder, or the name of one fetched before.
DATA_VARIABLE: Final = "SPARCODE_DATA"
# Environment variable for another folder of recorded runs; "off" is none, so that everything is trained here.
RECORDED_VARIABLE: Final = "SPARCODE_RECORDED"
RECORDED_FOLDER: Final = Path(__file__).resolve().parents[2] / "assets" / "recorded"
# Indexes with tens of thousands of lists are built a third faster in larger blocks; the result is the same.
BLOCK_CODES: Final = 256
# Owner of the backbone's job that starts before the first visit; it never leaves.
_SERVER: Final = "server"


def data_source() -> str:
    """The studio's data source, as for `sparcode.data.loading.load`; an empty variable counts as not set, as is usual in shells."""
    return os.environ.get(DATA_VARIABLE) or "synthetic"


def run_config(synthetic: bool) -> RunConfig:
    """Settings that visitors do not change on a page, for synthetic or other data."""
    return RunConfig.for_data(synthetic, RunConfig(index=IndexConfig(block_codes=BLOCK_CODES)))


def recorded_folder() -> Path | None:
    """The folder of recorded runs; None if they are turned off. An empty variable counts as not set."""
    named = os.environ.get(RECORDED_VARIABLE)
    if named == "off":
        return None
    return Path(named) if named else RECORDED_FOLDER


def studio() -> Studio:
    """The studio of this process, shared by all visitors; it learns that this tab is open.

    Ends the page with a message if the data cannot be used.
    """
    source = data_source()
    try:
        opened = _opened(source)
        enter_in_tab(opened)
        return opened
    except (ValueError, OSError) as error:
        st.error(f"The data of {DATA_VARIABLE} = {source} cannot be used: {error}")
        st.markdown(
            f"To go on, start the studio without {DATA_VARIABLE} for the built-in data, or set it to a table with the columns user_id and "
            "item_id in which at least three users have five items or more."
        )
        st.stop()


def open_ahead() -> None:
    """Open the studio before the first visit, and measure the default setting if its model is recorded.

    Data that cannot be used is ignored here; `studio` shows the error.
    """
    try:
        # Called within a cached function it shows no spinner, which would need a page.
        opened = _opened_ahead(data_source())
    except (ValueError, OSError):
        return
    finally:
        _opened_ahead.clear()
    if opened.recorded.tuned(opened.config) is not None:
        opened.setting_jobs.ensure(opened.config, _SERVER)


def close_studio() -> None:
    """Stop all jobs of the studio, if there is one; the next visitor gets a new one."""
    _opened.clear()


@st.cache_resource(show_spinner=False)
def _opened_ahead(source: str) -> Studio:
    return _opened(source)


@st.cache_resource(show_spinner="Reading the data ...", on_release=Studio.close)
def _opened(source: str) -> Studio:
    data = load(source)
    config, folder = run_config(data.synthetic), recorded_folder()
    opened = Studio(data, config, None if folder is None else RecordedRuns.opened(folder, data, config))
    if opened.backbone is None:
        # Every page needs the backbone, and it takes the longest.
        opened.backbones.start(opened.config, _SERVER)
    return opened
