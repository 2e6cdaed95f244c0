"""Launcher of the studio: `streamlit run streamlit_app.py`.

The pages live in `pages/` beside this file. A plain script here would make Streamlit take them for its older page system on the
first deep link; the application object keeps the entry script in `app/main.py`, away from that folder.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import streamlit as st
from starlette.middleware import Middleware

from app.middleware import OwnerCookie, SecurityHeaders
from app.plotly_asset import PLOTLY_ROUTE

# Loaded before the first visitor comes, because together they take seconds.
PRELOADED: Final = ("numpy", "pandas", "torch", "numba", "plotly.graph_objects")
COMPILED: Final = ("sparcode.index.kernels", "sparcode.index.build_kernels")


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Import the heavy libraries and compile the kernels, and keep the collector from walking their objects while the server runs.

    Jobs end with the server.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    for name in COMPILED:
        importlib.import_module(name).warm_up()
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        importlib.import_module("app.loaders").close_studio()
        gc.unfreeze()


app = st.App(
    "app/main.py",
    lifespan=lifespan,
    routes=[PLOTLY_ROUTE],
    middleware=[Middleware(SecurityHeaders), Middleware(OwnerCookie)],
)
