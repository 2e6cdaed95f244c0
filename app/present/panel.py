"""Presentation of a run or of the visitor's report: stepped through by keys, in the browser alone; trains and changes nothing."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.components.bundle import script, style
from app.measured.measured_index import MeasuredIndex
from app.measured.serving import best_measured
from app.present.views import View, report_views, run_views
from app.server.plotly_asset import bundle_for, trace_types
from app.session import loaders
from app.session.address import read_address
from app.session.chosen_data import UPLOAD, base_settings, chosen_config, chosen_data, read_data
from app.session.presenting import asked_view
from app.session.report import own_report
from app.session.settings import EXPLORER
from app.session.visitor import owner_id
from app.session.widgets import chosen_now
from app.studio import Studio
from sparcode.data.published import PUBLISHED

# Between two looks for a run that nobody has measured yet.
LOOK_SECONDS: Final = 15.0
# For the first figures of a model that is there already.
WAIT_SECONDS: Final = 2.0
_HTML: Final = """
<section class="sparcode-present" tabindex="-1" aria-label="Presentation">
  <h1></h1>
  <p class="note"></p>
  <div class="content"></div>
  <footer>
    <span class="foot"></span>
    <span role="status"></span>
    <button type="button" aria-label="View before">‹</button>
    <output></output>
    <button type="button" aria-label="Next view">›</button>
  </footer>
</section>
"""
_mount = st.components.v2.component("sparcode_present", html=_HTML, css=style(__file__), js=script(__file__), isolate_styles=False)


def presentation(title: str, report_alone: bool) -> None:
    """The whole page of that title, in place of its own; with `report_alone` without the run, unless the report is empty."""
    notes = [note for note in (read_data(title), *read_address(EXPLORER, base_settings())) if note]
    entries, dark = report_views(own_report().entries, _dark()), _dark()
    if report_alone and entries:
        _draw(entries, notes)
        return
    studio = _studio()
    measured = None if studio is None else _measured(studio)
    if measured is None:
        st.fragment(_wait, run_every=LOOK_SECONDS)()
        _draw(entries or [_nothing()], notes)
        return
    first, of_run = run_views(measured, chosen_now().stop, studio, dark)
    _draw([first, *(entries or of_run)], notes)


def _draw(views: list[View], notes: list[str]) -> None:
    at, refused = asked_view(len(views))
    said = " ".join([*notes, *([refused] if refused else [])])
    url = bundle_for({kind for view in views for figure in view["figures"] for kind in trace_types(figure)}).url
    content = {"views": views, "at": at, "said": said, "url": url, "leaves": not st.context.is_embedded}
    _mount(key="presentation", data=content, width="stretch", height="content")


def _wait() -> None:
    """Look again; a tab that waits starts nothing."""
    studio = _studio()
    if studio is not None and _measured(studio) is not None:
        st.rerun()


def _studio() -> Studio | None:
    """The studio of the data that is shown; None for data that a visitor would first have to fetch or to choose."""
    studios, chosen = loaders.opened(), chosen_data()
    if chosen == UPLOAD:
        return studios.at_hand(loaders.upload_scope(owner_id(), ""))
    return studios.at_hand(chosen) if chosen in PUBLISHED else loaders.studio()


def _measured(studio: Studio) -> MeasuredIndex | None:
    """The setting's index. Where its model is trained or recorded, it is measured first; nothing is trained."""
    config = chosen_config(chosen_now(), studio.config)
    found = best_measured(studio.indexes.all(), config)
    if found is not None or studio.tuned.of(config) is None:
        return found
    return studio.setting_jobs.follow(config, owner_id(), WAIT_SECONDS).measured


def _nothing() -> View:
    said = "Nothing has been measured for this setting yet"
    how = "Open it on the page Index Explorer once; it appears here as soon as it is measured."
    return {"title": said, "note": how, "tiles": [], "figures": [], "table": None, "foot": ""}


def _dark() -> bool:
    return st.context.theme.type == "dark"
