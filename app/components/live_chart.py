"""A Plotly chart that is updated in place: zoom and focus stay. Its corner saves picture and numbers, a button below adds it to the
visitor's report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import streamlit as st

from app.charts.frame import Figure
from app.components import add_button
from app.components.bundle import script, style
from app.report.entry import Entry, Source, chart_entry
from app.server.plotly_asset import bundle_for
from app.session.report import FiguresOf, note_for, shown_figures

HEIGHT: Final = 360

Data = TypeVar("Data")

# With room for the menu in its corner, which `chart_corner.js` adds: what is inside an image is hidden from screen readers.
FRAMED: Final = '<div class="sparcode-framed"><div class="sparcode-chart" role="img"></div></div>'
STYLE: Final = style(__file__) + add_button.STYLE

_mount = st.components.v2.component(
    "sparcode_live_chart",
    html=FRAMED + add_button.HTML,
    css=STYLE,
    js=script(__file__),
    # Plotly writes its styles into the document's head, where a shadow root does not see them.
    isolate_styles=False,
)

_version: ContextVar[str] = ContextVar("version of the charts", default="")


@contextmanager
def charts_of(version: str) -> Iterator[None]:
    """Give charts drawn inside a version, equal only if all that follows the threshold is equal; see `MeasuredIndex.version`."""
    token = _version.set(version)
    try:
        yield
    finally:
        _version.reset(token)


def chart_content(figure: Figure, of: FiguresOf | None, alt: str, height: int) -> dict[str, Any]:
    """What the browser needs to draw a figure, and to name what it saves of it."""
    return {
        # One string, so that the browser can compare figures without parsing them.
        "figure": figure.to_json(),
        "version": _version.get(),
        "alt": alt,
        "height": height,
        "url": bundle_for(trace["type"] for trace in figure.data).url,
        "name": figure.layout["uirevision"],
        "setting": "" if of is None else of.file_words,
    }


def live_chart(
    make: Callable[[Data, bool], Figure],
    data: Data,
    key: str,
    alt: str,
    height: int = HEIGHT,
    on_pick: Callable[[int], None] | None = None,
) -> None:
    """Draw a figure in the reader's theme, or update the one of the same key.

    Parameters
    ----------
    make, data
        A chart's figure function, and its data; the figure's `layout.uirevision` keeps the reader's zoom.
    key
        Unique on the page.
    alt
        Text alternative.
    height
        In pixels.
    on_pick
        Called, before the page runs again, with the `customdata` of a point that was clicked.
    """
    figure, of = make(data, st.context.theme.type == "dark"), shown_figures()
    content = {**chart_content(figure, of, alt, height), "adds": bool(figure.data), "note": note_for(key)}
    calls = add_button.adding(lambda source, day: entry_of(make, data, source, day), of, key)
    if on_pick is None:
        _mount(key=key, data=content, width="stretch", height="content", **calls)
        return

    def picked() -> None:
        number = getattr(st.session_state.get(key), "pick", None)
        if number is not None:
            on_pick(int(number))

    _mount(key=key, data={**content, "pickable": True}, width="stretch", height="content", on_pick_change=picked, **calls)


def entry_of(make: Callable[[Data, bool], Figure], data: Data, source: Source, day: str) -> Entry:
    """A chart as an entry of a report, for light and for dark backgrounds."""
    return chart_entry(make(data, False).to_json(), make(data, True).to_json(), source, day)
