"""The threshold's slider: figures and charts follow it in the browser while it is dragged, and the server answers on release."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.session.configuration import KEPT
from app.session.state import set_threshold

_KEY: Final = "threshold-slider"

_HTML: Final = """
<div class="sparcode-threshold">
  <div class="head"><label></label><output></output></div>
  <input type="range" min="0" step="1">
  <div class="ends"><span></span><span class="note" role="status"></span><span></span></div>
</div>
"""

_CSS: Final = """
.sparcode-threshold { color: var(--st-text-color); font-family: var(--st-font); }
.sparcode-threshold > div { display: flex; justify-content: space-between; gap: 1rem; font-size: 0.875rem; }
.sparcode-threshold output { font-weight: 600; font-variant-numeric: tabular-nums; }
.sparcode-threshold .ends { font-size: 0.8125rem; opacity: 0.85; }
/* Drawn here, because browsers take a light track for a dark page where the accent colour stands out too little. */
.sparcode-threshold input {
  appearance: none; width: 100%; height: 0.5rem; margin: 0.55rem 0; border-radius: 0.25rem; cursor: pointer;
  background: linear-gradient(to right, var(--st-primary-color) var(--filled, 0%), var(--st-border-color) var(--filled, 0%));
}
.sparcode-threshold input::-webkit-slider-thumb {
  appearance: none; width: 1.25rem; height: 1.25rem; border-radius: 50%; background: var(--st-primary-color);
  border: 2px solid var(--st-background-color); box-shadow: 0 0 0 1px var(--st-primary-color);
}
.sparcode-threshold input::-moz-range-thumb {
  width: 1rem; height: 1rem; border-radius: 50%; background: var(--st-primary-color); border: 2px solid var(--st-background-color);
}
.sparcode-threshold input:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 6px; }
"""

# Moving is done here and not by the server because Streamlit's own slider speaks up on release only.
_JS: Final = """
function nearest(stops, stop) {
  let best = 0;
  stops.forEach((known, row) => { if (Math.abs(known - stop) < Math.abs(stops[best] - stop)) best = row; });
  return best;
}

function taken(columns, source, row) {
  const one = (name) => (typeof name === "number" ? name : name === "" ? "" : columns[name] ? columns[name][row] : null);
  const value = Array.isArray(source) ? source.map(one) : one(source);
  return Array.isArray(value) ? value : [value];
}

function following(box) {
  return (box.layout && box.layout.meta && box.layout.meta.follow) || null;
}

function inView(box) {
  const place = box.getBoundingClientRect();
  return place.bottom >= 0 && place.top <= window.innerHeight;
}

const STEP = { transition: { duration: 0 }, frame: { duration: 0, redraw: false }, mode: "immediate" };

// The version is empty where the row is of another stop than the slider's.
function moveChart(box, columns, row, version) {
  const follow = following(box), traces = follow.map((mark) => mark.trace);
  const parts = ["x", "y", "text"].filter((part) => follow.some((mark) => part in mark));
  const values = follow.map((mark) =>
    Object.fromEntries(parts.filter((part) => part in mark).map((part) => [part, taken(columns, mark[part], row)])));
  box.sparcodeMoved = true;
  box.sparcodeGoal = version;
  // Changed traces make Plotly lay the whole chart out again, frames of an animation do not.
  const moved = box.layout.meta["axes stay"]
    ? window.Plotly.animate(box, { data: values, traces }, STEP)
    : window.Plotly.restyle(box, Object.fromEntries(parts.map((part) => [part, values.map((one) => one[part])])), traces);
  // A frame that a later one overtakes is given up.
  box.sparcodeMoving = moved.catch(() => {}).then(() => { if (box.sparcodeGoal === version) box.dataset.version = version; });
}

function moveTiles(tiles, row, version) {
  for (const name of Object.keys(tiles)) {
    const card = document.querySelector(`[data-tile="${name}"]`);
    if (!card) continue;
    const value = card.querySelector(".value");
    value.textContent = tiles[name].value[row];
    value.style.setProperty("--chars", value.textContent.length);
    const delta = card.querySelector(".delta");
    delta.textContent = tiles[name].delta[row];
    delta.dataset.tone = tiles[name].tone[row];
    card.parentElement.dataset.version = version;
  }
}

function putBack() {
  for (const box of document.querySelectorAll(".sparcode-chart, .sparcode-tiles")) if (box.sparcodeRedraw) box.sparcodeRedraw();
}

// Ctrl+Z in a field takes back what was typed there, not the page's last step.
if (!window.sparcodeFieldKeys) {
  window.sparcodeFieldKeys = true;
  window.addEventListener("keydown", (event) => {
    const typed = event.target.matches && event.target.matches("input:not([type=range]):not([type=checkbox]), textarea");
    if (typed && (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") event.stopImmediatePropagation();
  }, true);
}

class Panel {
  constructor(root) {
    this.root = root;
    this.input = root.querySelector("input");
    this.moving = false;
    this.waiting = null;
    this.input.addEventListener("input", () => { this.moving = true; this.show(); this.schedule(); });
    this.input.addEventListener("change", () => this.release());
    // Whatever the server draws in the middle of a drag is of the threshold before it.
    this.again = () => { if (this.moving || this.waiting !== null) this.schedule(); };
    document.addEventListener("sparcode-drawn", this.again);
  }

  get percent() { return this.data.percents[Number(this.input.value)]; }

  take(data, send) {
    this.data = data;
    this.send = send;
    if (this.text !== data.curve) {
      this.text = data.curve;
      this.curve = data.curve ? JSON.parse(data.curve) : null;
    }
    if (this.waiting === data.keep) this.waiting = null;
    this.input.max = String(data.percents.length - 1);
    this.input.setAttribute("aria-label", data.label);
    this.input.title = data.help;
    this.root.querySelector("label").textContent = data.label;
    const ends = this.root.querySelectorAll(".ends span");
    ends[0].textContent = "◂ more scores, larger index";
    ends[2].textContent = "fewer scores, smaller index ▸";
    if (!this.moving && this.waiting === null) {
      this.input.value = String(data.percents.indexOf(data.keep));
      this.show();
    }
  }

  // The row of the curve under the slider; undefined before anything is measured.
  row() {
    if (!this.curve || this.curve.stops.length === 0) return undefined;
    return nearest(this.curve.stops, Number(this.input.value));
  }

  show() {
    this.input.style.setProperty("--filled", (100 * Number(this.input.value)) / Number(this.input.max) + "%");
    const row = this.row(), here = row !== undefined && this.curve.stops[row] === Number(this.input.value);
    const caption = here ? this.curve.captions[row] : "";
    this.root.querySelector("output").textContent = caption || this.percent + " % of scores kept";
    const recall = here ? ", recall " + this.curve.tiles.recall.value[row] : "";
    this.input.setAttribute("aria-valuetext", this.percent + " % of scores kept" + recall);
    let note = this.data.note;
    if (this.moving && row === undefined) note = "nothing is measured yet: figures follow on release";
    else if (this.moving && !here) note = "not measured yet, so " + this.data.percents[this.curve.stops[row]] + " % is shown until release";
    else if (this.moving) note = "measured at this stop";
    this.root.querySelector(".note").textContent = note;
  }

  schedule() {
    if (!this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.draw(); });
  }

  draw() {
    const row = this.row();
    if (row === undefined) return;
    const version = this.version(row);
    const boxes = [...document.querySelectorAll(".sparcode-chart")].filter(
      (box) => following(box) && window.Plotly && !(version && box.sparcodeGoal === version));
    // Asked before anything moves: a place asked for after a change makes the browser lay the page out anew.
    const shown = boxes.filter(inView), later = shown.length < boxes.length;
    moveTiles(this.curve.tiles, row, version);
    for (const box of shown) moveChart(box, this.curve.columns, row, version);
    this.root.dataset.redraws = String(Number(this.root.dataset.redraws || 0) + 1);
    // What nobody sees waits until the slider rests, and then takes a frame for each chart.
    if (later && version && !this.moving) this.drawLater(row, version);
  }

  drawLater(row, version) {
    requestAnimationFrame(() => {
      if (this.moving || this.row() !== row || this.version(row) !== version) return;
      const boxes = [...document.querySelectorAll(".sparcode-chart")];
      const box = boxes.find((one) => following(one) && one.sparcodeGoal !== version);
      if (!box) return;
      moveChart(box, this.curve.columns, row, version);
      this.drawLater(row, version);
    });
  }

  // What the charts show with this row: the same words as the server's, empty where it is not measured.
  version(row) {
    return this.curve.stops[row] === Number(this.input.value) ? this.curve.version + " " + this.percent : "";
  }

  release() {
    this.moving = false;
    this.show();
    if (this.percent === this.data.keep) { this.waiting = null; putBack(); return; }
    const asked = this.waiting = this.percent;
    this.schedule();
    this.send("release", asked);
    // If the answer never comes, the slider goes back to what the server knows.
    setTimeout(() => { if (this.waiting === asked) { this.waiting = null; this.take(this.data, this.send); putBack(); } }, 15000);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".sparcode-threshold");
  if (!root.sparcodePanel) root.sparcodePanel = new Panel(root);
  root.sparcodePanel.take(data, setTriggerValue);
}
"""

_mount = st.components.v2.component("sparcode_threshold_slider", html=_HTML, css=_CSS, js=_JS, isolate_styles=False)


def threshold_slider(keep: str, curve: str, note: str) -> None:
    """The slider, with the measured curve for what moves in the browser.

    Parameters
    ----------
    keep
        The stop of the session, one of `KEPT.options`.
    curve
        Of `app.charts.threshold_columns.threshold_columns`; empty before anything is measured.
    note
        How much of the curve is measured, in words.
    """
    _mount(
        key=_KEY,
        data={
            "percents": list(KEPT.options),
            "keep": keep,
            "curve": curve,
            "label": KEPT.label,
            "help": KEPT.help,
            "note": note,
        },
        width="stretch",
        height="content",
        on_release_change=_released,
    )


def _released() -> None:
    # A trigger and not a state: after an undo, the same stop released again is news.
    set_threshold(str(st.session_state[_KEY].release))
