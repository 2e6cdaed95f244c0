"""Has the visitor's browser draw the pictures of charts that were added to the report, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from app.components.bundle import script
from app.report.entry import Chart, Entry
from app.report.picture import HEIGHT, SCALE, WIDTH, checked_png, checked_svg
from app.report.store import Report
from app.server.plotly_asset import bundle_for, trace_types
from app.session.report import own_report, reports
from app.session.visitor import owner_id

_KEY: Final = "report-pictures"
# Numbers of entries whose picture could not be drawn or kept, with the reason.
_FAILED: Final = "report_pictures_failed"

_mount = st.components.v2.component(
    "sparcode_report_pictures", html='<div class="sparcode-pictures" hidden></div>', js=script(__file__), isolate_styles=False
)


def missing_pictures(report: Report) -> list[Entry]:
    """The charts without a picture."""
    return [entry for entry in report.entries if isinstance(entry.content, Chart) and not entry.picture]


def picture_drawer(missing: Sequence[Entry]) -> None:
    """Say what is missing, and have the next one drawn; the page runs again once all are there."""
    if missing:
        st.fragment(_next)(len(missing))


def keep_picture(answer: Any) -> None:
    """Check what the browser sent, ``{"number": .., "png": .., "svg": ..}``, and give the entry its picture, or note why it has none."""
    if not isinstance(answer, dict) or not isinstance(answer.get("number"), int):
        return
    number = answer["number"]
    try:
        reports().draw(owner_id(), number, checked_png(answer.get("png", "")), checked_svg(answer.get("svg", "")))
    except ValueError as error:
        _failed()[number] = str(error)


def _next(n_missing: int) -> None:
    missing = missing_pictures(own_report())
    left = [entry for entry in missing if entry.number not in _failed()]
    for number, reason in _failed().items():
        if any(entry.number == number for entry in missing):
            st.warning(f"A chart has no picture, so slides and pictures cannot be exported: {reason:.300}. Drop it, or reload this page.")
    if left:
        st.caption(f"Drawing the pictures of {len(left)} chart{'' if len(left) == 1 else 's'} ...")
        first = left[0]
        url = bundle_for(trace_types(first.content.light)).url
        size = {"width": WIDTH, "height": HEIGHT, "scale": SCALE}
        _mount(
            key=_KEY,
            data={"number": first.number, "figure": first.content.light, "url": url, "size": size},
            on_picture_change=_take,
        )
    elif n_missing > len(missing):
        st.rerun()


def _take() -> None:
    keep_picture(getattr(st.session_state.get(_KEY), "picture", None))


def _failed() -> dict[int, str]:
    return st.session_state.setdefault(_FAILED, {})
