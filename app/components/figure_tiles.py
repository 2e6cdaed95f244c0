"""Figures in large type, side by side; the ones that depend on the threshold follow it while it is dragged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import streamlit as st

from app.measured.figure_texts import NO_DELTA, Delta


class Tile(NamedTuple):
    """One figure.

    Attributes
    ----------
    name
        Tells it apart; where it is one of `app.charts.threshold_columns.MOVING_TILES`, it follows the threshold.
    label, kind
        What it is, and of which model.
    value
        As text.
    caption
        What else there is to say.
    delta
        Difference to what it is held against.
    """

    name: str
    label: str
    kind: str
    value: str
    caption: str
    delta: Delta = NO_DELTA


_CSS: Final = """
.sparcode-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: 0.5rem; }
.sparcode-tile {
  border: 1px solid var(--st-border-color); border-radius: 0.5rem; padding: 0.4rem 0.55rem; min-width: 0; container-type: inline-size;
  color: var(--st-text-color); font-family: var(--st-font); line-height: 1.25;
}
.sparcode-tile .label { font-size: 0.875rem; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.sparcode-tile .kind, .sparcode-tile .caption { font-size: 0.8125rem; opacity: 0.85; }
/* As large as the card allows: a long number may be the one people came to see. */
.sparcode-tile .value {
  font-size: clamp(0.9rem, calc(100cqi / (0.62 * var(--chars, 8))), 1.6rem); line-height: 2rem; white-space: nowrap;
}
.sparcode-tile .delta { font-size: 0.8125rem; font-weight: 600; min-height: 1.05rem; font-variant-numeric: tabular-nums; }
.sparcode-tile .delta[data-tone="better"] { color: color-mix(in srgb, #009E73 70%, var(--st-text-color)); }
.sparcode-tile .delta[data-tone="worse"] { color: color-mix(in srgb, #D55E00 75%, var(--st-text-color)); }
.sparcode-tile .delta[data-tone="better"]::before { content: "✓ "; }
.sparcode-tile .delta[data-tone="worse"]::before { content: "✗ "; }
"""

_JS: Final = """
const PARTS = ["label", "value", "delta", "kind", "caption"];

function drawn(box, tile) {
  let card = box.querySelector(`[data-tile="${tile.name}"]`);
  if (!card) {
    card = document.createElement("div");
    card.className = "sparcode-tile";
    card.dataset.tile = tile.name;
    card.setAttribute("role", "group");
    for (const part of PARTS) card.appendChild(document.createElement("div")).className = part;
    box.appendChild(card);
  }
  card.setAttribute("aria-label", tile.label);
  for (const part of PARTS) {
    const place = card.querySelector("." + part);
    if (place.textContent !== tile[part]) place.textContent = tile[part];
  }
  card.querySelector(".value").style.setProperty("--chars", tile.value.length);
  card.querySelector(".delta").dataset.tone = tile.tone;
}

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".sparcode-tiles");
  const names = data.tiles.map((tile) => tile.name);
  for (const card of [...box.children]) if (!names.includes(card.dataset.tile)) card.remove();
  box.sparcodeRedraw = () => {
    data.tiles.forEach((tile) => drawn(box, tile));
    box.dataset.version = data.version;
  };
  box.sparcodeRedraw();
  document.dispatchEvent(new CustomEvent("sparcode-drawn"));
}
"""

_mount = st.components.v2.component(
    "sparcode_figure_tiles", html='<div class="sparcode-tiles"></div>', css=_CSS, js=_JS, isolate_styles=False
)


def figure_tiles(tiles: Sequence[Tile], key: str, version: str) -> None:
    """Draw the figures, or update those that stand there under the same key.

    Parameters
    ----------
    tiles
        In the order to show.
    key
        Tells groups of tiles on a page apart.
    version
        What they are of, as for charts; see `app.components.live_chart.charts_of`.
    """
    plain = [{**tile._asdict(), "delta": tile.delta.text, "tone": tile.delta.tone} for tile in tiles]
    _mount(key=key, data={"tiles": plain, "version": version}, width="stretch", height="content")
