"""Two paths side by side, stage by stage: the reader steps through them, or plays them, in the browser alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.components.bundle import script, style
from app.measured.two_paths import Lane, Stage

_HTML: Final = """
<section class="sparcode-paths" aria-label="One query on both paths">
  <nav class="steps" aria-label="Stages"></nav>
  <div class="lanes" aria-live="polite">
    <article data-lane="two_tower"><h4>Two-tower</h4><p></p><div class="strips"></div><ul></ul></article>
    <article data-lane="sparcode"><h4>SparCode</h4><p></p><div class="strips"></div><ul></ul></article>
  </div>
</section>
"""
_mount = st.components.v2.component("sparcode_two_paths", html=_HTML, css=style(__file__), js=script(__file__), isolate_styles=False)


def two_paths(stages: Sequence[Stage], key: str) -> None:
    """Draw the stages, or update those of the same `key`, which is unique on the page; the reader's stage stays."""
    plain = [{"title": stage.title, "two_tower": _plain(stage.two_tower), "sparcode": _plain(stage.sparcode)} for stage in stages]
    _mount(key=key, data={"stages": plain}, width="stretch", height="content")


def _plain(lane: Lane) -> dict[str, object]:
    return {"text": lane.text, "strips": [list(strip) for strip in lane.strips], "chips": [list(chip) for chip in lane.chips]}
