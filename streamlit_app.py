"""Launcher of the studio: `streamlit run streamlit_app.py`.

The pages live in `pages/` beside this file. A plain script here would make Streamlit take them for its older page system on the
first deep link; the application object keeps the entry script in `app/main.py`, away from that folder.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import streamlit as st
from starlette.middleware import Middleware
from streamlit import config

from app.server.middleware import OwnerCookie, SecurityHeaders, inline_scripts
from app.server.origins import OriginRules, OwnPagesOnly
from app.server.plotly_asset import PLOTLY_ROUTES, PlotlyAhead
from app.session.closed_tabs import forget_closed_tabs, keep_memory_together

# Loaded while the first visitor's browser fetches the page, because together they take seconds.
PRELOADED: Final = ("numpy", "pandas", "torch", "numba")
COMPILED: Final = ("sparcode.index.kernels", "sparcode.index.build_kernels", "sparcode.model.encoding_kernels")
# Longest wait for them where the server is stopped at once.
CLOSING_SECONDS: Final = 20.0


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Answer at once, and load in the background what pages need; jobs end with the server.

    A page that comes early waits for just the modules and kernels it uses, since Python and numba load each of them once.
    """
    loading = threading.Thread(target=load_ahead, name="load ahead", daemon=True)
    loading.start()
    keep_memory_together()
    forgetting = asyncio.create_task(forget_closed_tabs())
    try:
        yield
    finally:
        forgetting.cancel()
        # A thread inside compiled code when the interpreter goes down takes the process with it.
        loading.join(CLOSING_SECONDS)
        importlib.import_module("app.session.loaders").close_studio()
        gc.unfreeze()


def load_ahead() -> None:
    """Import the heavy libraries, compile the kernels and open the studio; then keep the collector from walking all these objects."""
    # Hundreds of thousands of new objects that all stay: looking for garbage among them costs as much as making some of the modules.
    gc.disable()
    try:
        for name in PRELOADED:
            importlib.import_module(name)
        importlib.import_module("app.session.loaders").open_ahead()
        for name in COMPILED:
            importlib.import_module(name).warm_up()
    finally:
        gc.freeze()
        gc.enable()


DOCUMENT: Final = Path(st.__file__).parent / "static" / "index.html"

app = st.App(
    "app/main.py",
    lifespan=lifespan,
    routes=[*PLOTLY_ROUTES],
    middleware=[
        Middleware(SecurityHeaders, inline=inline_scripts(DOCUMENT.read_bytes())),
        Middleware(OwnPagesOnly, rules=lambda: OriginRules.of_streamlit(config)),
        Middleware(OwnerCookie),
        Middleware(PlotlyAhead),
    ],
)
