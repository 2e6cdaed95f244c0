"""A chart that plays through time: all frames are sent once, the browser steps through them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app.charts.figure_json import Data, figure_json
from app.components.live_chart import HEIGHT, PLOTLY_LOADER
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
_CSS: Final = """
.sparcode-player .sparcode-chart { width: 100%; }
.sparcode-player-bar { display: flex; align-items: center; gap: 0.75rem; font-size: 0.9rem; min-height: 2.4rem; }
.sparcode-player-bar[hidden] { display: none; }
.sparcode-player-bar button {
  font: inherit; color: inherit; background: transparent; border: 1px solid currentColor; border-radius: 0.5rem;
  padding: 0.25rem 0.75rem; min-width: 5.5rem; cursor: pointer;
}
.sparcode-player-bar input { flex: 1 1 6rem; min-width: 4rem; accent-color: var(--st-primary-color, #0072B2); }
.sparcode-player-bar span { flex: 0 1 auto; min-width: 15rem; font-variant-numeric: tabular-nums; }
"""
# A reader who looks at the newest epoch stays with the newest one; any other choice stays as it is while epochs come in.
_JS: Final = (
    PLOTLY_LOADER
    + """
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".sparcode-player");
  const box = root.querySelector(".sparcode-chart");
  const [bar, button, range, label] = [".sparcode-player-bar", "button", "input", "span"].map((name) => root.querySelector(name));
  const state = root.sparcodeState || (root.sparcodeState = { at: -1, last: -1, timer: null });
  state.ended = false;
  const frames = JSON.parse(data.frames);
  const following = state.at >= state.last;
  state.last = frames.length - 1;
  state.at = following && state.timer === null ? state.last : Math.min(state.at, state.last);

  function show() {
    const frame = frames[state.at];
    bar.hidden = frames.length === 0;
    button.textContent = state.timer === null ? "▶ Play" : "❚❚ Pause";
    range.max = Math.max(0, state.last);
    range.value = Math.max(0, state.at);
    label.textContent = frame ? frame.label : "";
    range.setAttribute("aria-valuetext", label.textContent);
    box.setAttribute("aria-label", frame ? data.alt + " Shown: " + frame.label + "." : data.alt);
    box.style.height = data.height + "px";
    library(data.url).then((Plotly) => {
      if (state.ended) return;
      const figure = JSON.parse(data.figure);
      if (frame) frame.use.forEach((use, book) => { figure.data[book].y = use; });
      Plotly.react(box, figure.data, figure.layout, { displayModeBar: false, responsive: false }).then(() => {
        box.dataset.drawn = String(Number(box.dataset.drawn || 0) + 1);
      });
      if (!state.observer) {
        state.observer = new ResizeObserver(() => { if (box.offsetWidth > 0) Plotly.Plots.resize(box); });
        state.observer.observe(box);
      }
    }, () => { box.textContent = "Charts need the studio's own server. Start it with: streamlit run streamlit_app.py"; });
  }

  function stop() {
    clearInterval(state.timer);
    state.timer = null;
  }

  state.advance = () => {
    if (state.at < state.last) state.at += 1;
    if (state.at >= state.last) stop();
    show();
  };
  button.onclick = () => {
    if (state.timer !== null) {
      stop();
    } else {
      if (state.at >= state.last) state.at = 0;
      // Looked up at each tick, because new epochs bring a new function.
      state.timer = setInterval(() => state.advance(), data.frame_ms);
    }
    show();
  };
  range.oninput = () => { stop(); state.at = Number(range.value); show(); };
  show();

  return () => {
    state.ended = true;
    // Streamlit may end a chart and bring it back in the same place at once.
    setTimeout(() => {
      if (!state.ended) return;
      stop();
      if (state.observer) state.observer.disconnect();
      state.observer = undefined;
      if (window.Plotly) window.Plotly.purge(box);
    });
  };
}
"""
)

_mount = st.components.v2.component("sparcode_chart_player", html=_HTML, css=_CSS, js=_JS, isolate_styles=False)


def chart_player(
    make: Callable[[Data, bool], go.Figure],
    data: Data,
    frames: Sequence[tuple[str, np.ndarray]],
    key: str,
    alt: str,
    height: int = HEIGHT,
) -> None:
    """Draw a figure with a slider and a play button under it.

    Parameters
    ----------
    make, data
        A chart's figure function, and what its frames have in common; the figure shows the last frame.
    frames
        Label and (n_traces, n) heights of the figure's first traces, in the order of time.
    key
        Tells charts of a page apart.
    alt
        What the chart shows, for people who do not see it; the label of the frame is added to it.
    height
        Of the figure, in pixels.
    """
    figure = figure_json(make, data, dark=st.context.theme.type == "dark")
    steps = json.dumps([{"label": label, "use": np.round(use.astype(np.float64), 3).tolist()} for label, use in frames])
    content = {"figure": figure, "frames": steps, "alt": alt, "height": height, "url": PLOTLY_URL, "frame_ms": FRAME_MS}
    _mount(key=key, data=content, width="stretch", height="content")
