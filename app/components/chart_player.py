"""A chart that plays through time: all frames are sent once, and the browser steps through them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import streamlit as st

from app.charts.frame import Figure
from app.components import add_button
from app.components.bundle import script, style
from app.components.live_chart import FRAMED, HEIGHT, STYLE, Data, chart_content, entry_of
from app.report.entry import Entry, Source
from app.session.report import add_to_report, keep_note, note_for, shown_figures

FRAME_MS: Final = 350

_HTML: Final = f"""
<div class="sparcode-player">
  {FRAMED}
  <div class="sparcode-player-bar">
    <button type="button"></button>
    <input type="range" min="0" step="1" aria-label="Epoch shown">
    <span></span>
  </div>
</div>
"""
_mount = st.components.v2.component(
    "sparcode_chart_player",
    html=_HTML + add_button.HTML,
    css=STYLE + style(__file__),
    js=script(__file__),
    isolate_styles=False,
)


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
    figure, of = make(data, st.context.theme.type == "dark"), shown_figures()
    steps = json.dumps([{"label": label, "use": np.round(use.astype(np.float64), 3).tolist()} for label, use in frames])
    content = {**chart_content(figure, of, alt, height), "frames": steps, "frame_ms": FRAME_MS, "note": note_for(key)}

    def added() -> None:
        at = add_button.told(key, "add")
        if isinstance(at, int) and 0 <= at < len(frames):
            add_to_report(lambda source, day: frame_entry(make, data, frames[at], source, day), of, key)

    calls = {"on_add_change": added, "on_note_change": lambda: keep_note(add_button.told(key, "note"))}
    _mount(key=key, data=content, width="stretch", height="content", **calls)


def frame_entry(make: Callable[[Data, bool], Figure], data: Data, frame: tuple[str, np.ndarray], source: Source, day: str) -> Entry:
    """One frame of the chart as an entry of a report, its label after the chart's name."""
    label, use = frame

    def stopped(data: Data, dark: bool) -> Figure:
        figure = make(data, dark)
        for trace, heights in zip(figure.data, use, strict=False):
            trace["y"] = heights
        return figure

    entry = entry_of(stopped, data, source, day)
    return replace(entry, name=f"{entry.name or entry.title}: {label}")
