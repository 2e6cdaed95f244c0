"""A chart that plays through time: all frames are sent once, and the browser steps through them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import streamlit as st

from app.charts.frame import Figure
from app.components.bundle import script, style
from app.components.live_chart import HEIGHT, Data
from app.server.plotly_asset import PLOTLY_URL

FRAME_MS: Final = 350

_HTML: Final = """
<div class="sparcode-player">
  <div class="sparcode-chart" role="img"></div>
  <div class="sparcode-player-bar">
    <button type="button"></button>
    <input type="range" min="0" step="1" aria-label="Epoch shown">
    <span></span>
  </div>
</div>
"""
_mount = st.components.v2.component("sparcode_chart_player", html=_HTML, css=style(__file__), js=script(__file__), isolate_styles=False)


def chart_player(
    make: Callable[[Data, bool], Figure],
    data: Data,
    frames: Sequence[tuple[str, np.ndarray]],
    key: str,
    alt: str,
    height: int = HEIGHT,
) -> None:
    """Draw a figure with a slider and a play button under it; at first it shows the last frame.

    Parameters
    ----------
    make, data
        A chart's figure function, and what its frames share.
    frames
        Label and (n_traces, n) heights of the figure's first traces, in order of time.
    key
        Unique on the page.
    alt
        Text alternative, completed by the frame's label.
    height
        Of the figure, in pixels.
    """
    figure = make(data, st.context.theme.type == "dark").to_json()
    steps = json.dumps([{"label": label, "use": np.round(use.astype(np.float64), 3).tolist()} for label, use in frames])
    content = {"figure": figure, "frames": steps, "alt": alt, "height": height, "url": PLOTLY_URL, "frame_ms": FRAME_MS}
    _mount(key=key, data=content, width="stretch", height="content")
