"""A Plotly chart that is redrawn in place: new data moves what is there, zoom and focus stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import plotly.graph_objects as go
import streamlit as st

from app.charts.figure_json import Data, figure_json
from app.server.plotly_asset import PLOTLY_URL

HEIGHT: Final = 320

# JavaScript that gives the studio's own copy of Plotly, loaded once per document.
PLOTLY_LOADER: Final = """
function library(url) {
  if (!window.sparcodePlotly) {
    window.sparcodePlotly = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = url;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => { window.sparcodePlotly = undefined; reject(new Error("not served")); };
      document.head.appendChild(script);
    });
  }
  return window.sparcodePlotly;
}
"""

# Streamlit's own Plotly element is built anew whenever its figure changes; Plotly.react keeps the drawing and updates it.
# `data-version` says what is drawn: the index and the stop of its threshold, whoever put it there, the server or the slider.
_JS: Final = (
    PLOTLY_LOADER
    + """
// A figure but for what follows the threshold.
function base(figure) {
  const traces = figure.data.map((trace) => ({ ...trace }));
  for (const mark of (figure.layout.meta && figure.layout.meta.follow) || []) {
    for (const part of ["x", "y", "text"]) if (part in mark) delete traces[mark.trace][part];
  }
  return JSON.stringify([traces, figure.layout]);
}

// A reader's zoom survives new data. Plotly sees to that by itself only where the figure leaves the axes to it.
function keepZoom(box, layout) {
  const fixed = box.sparcodeFixed || {};
  box.sparcodeFixed = {};
  for (const name of ["xaxis", "yaxis"]) {
    const next = layout[name] || {}, standing = (box.layout || {})[name] || {};
    box.sparcodeFixed[name] = next.range && String(next.range);
    const zoomed = fixed[name] && standing.range && String(standing.range) !== fixed[name];
    if (zoomed && next.range) Object.assign(next, { range: [...standing.range], autorange: standing.autorange });
  }
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".sparcode-chart");
  box.style.height = data.height + "px";
  box.setAttribute("aria-label", data.alt);
  box.sparcodeFigure = data.figure;
  const config = { displayModeBar: false, responsive: false };
  library(data.url).then((Plotly) => {
    if (box.sparcodeFigure !== data.figure) return;
    if (box.sparcodeDrawn === data.figure) {
      if (!box.sparcodeMoved) box.dataset.version = box.sparcodeGoal = data.version;
      return;
    }
    const figure = JSON.parse(data.figure), standing = box.sparcodeBase;
    box.sparcodeDrawn = data.figure;
    box.sparcodeBase = base(figure);
    // Also for whoever has moved traces of the chart in the browser and wants them back where the server put them.
    box.sparcodeRedraw = () => {
      const { data: traces, layout } = JSON.parse(data.figure);
      // A move that has begun would end after this drawing, in traces that may be others.
      return Promise.resolve(box.sparcodeMoving).then(() => {
        keepZoom(box, layout);
        return Plotly.react(box, traces, layout, config);
      }).then(() => {
        box.sparcodeMoved = false;
        box.dataset.version = box.sparcodeGoal = data.version;
      });
    };
    // The slider was quicker: it has put the same measured values there.
    const moved = box.sparcodeMoved && standing === box.sparcodeBase && box.sparcodeGoal === data.version;
    if (moved) {
      box.sparcodeMoved = false;
      return;
    }
    box.sparcodeRedraw().then(() => {
      box.dataset.drawn = String(Number(box.dataset.drawn || 0) + 1);
      document.dispatchEvent(new CustomEvent("sparcode-drawn"));
    });
    if (!box.sparcodeObserver) {
      box.sparcodeObserver = new ResizeObserver(() => { if (box.offsetWidth > 0) Plotly.Plots.resize(box); });
      box.sparcodeObserver.observe(box);
    }
  }, () => { box.textContent = "Charts need the studio's own server. Start it with: streamlit run streamlit_app.py"; });
  return () => {
    box.sparcodeFigure = null;
    // Streamlit may end a chart and bring it back in the same place at once, when elements above it come or go.
    setTimeout(() => {
      if (box.sparcodeFigure !== null) return;
      if (box.sparcodeObserver) box.sparcodeObserver.disconnect();
      box.sparcodeObserver = box.sparcodeDrawn = box.sparcodeBase = box.sparcodeRedraw = undefined;
      box.sparcodeMoving = box.sparcodeFixed = undefined;
      if (window.Plotly) window.Plotly.purge(box);
    });
  };
}
"""
)

_mount = st.components.v2.component(
    "sparcode_live_chart",
    html='<div class="sparcode-chart" role="img"></div>',
    css=".sparcode-chart { width: 100%; }",
    js=_JS,
    # Plotly writes its styles into the document's head, where a shadow root does not see them.
    isolate_styles=False,
)


_version: ContextVar[str] = ContextVar("version of the charts", default="")


@contextmanager
def charts_of(version: str) -> Iterator[None]:
    """Charts drawn inside carry this version.

    Parameters
    ----------
    version
        The same for two drawings only if all they hold that follows the threshold is the same; see `MeasuredIndex.version`.
    """
    token = _version.set(version)
    try:
        yield
    finally:
        _version.reset(token)


def live_chart(make: Callable[[Data, bool], go.Figure], data: Data, key: str, alt: str, height: int = HEIGHT) -> None:
    """Draw a figure in the reader's theme, or update the one that stands there under the same key.

    Parameters
    ----------
    make, data
        A chart's figure function, and its data; `layout.uirevision` of the figure keeps the reader's zoom.
    key
        Tells charts of a page apart.
    alt
        What the chart shows, for people who do not see it.
    height
        In pixels.
    """
    # As one string, so that the browser can tell without a look inside that nothing changed.
    figure = figure_json(make, data, dark=st.context.theme.type == "dark")
    content = {"figure": figure, "version": _version.get(), "alt": alt, "height": height, "url": PLOTLY_URL}
    _mount(key=key, data=content, width="stretch", height="content")
