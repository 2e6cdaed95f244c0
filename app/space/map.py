"""The map: points laid out by UMAP, or by principal components until it is there, and how far UMAP is."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st

from app.charts import code_map
from app.charts.code_map import CodeMapData, code_map_figure, thinned
from app.components.live_chart import entry_of
from app.components.point_map import Cloud, MapWords, Mark, Marked, cloud, point_map
from app.jobs.job import JobSnapshot, JobState, status_text
from app.measured.code_spaces import UMAP, CodeSpace
from app.measured.item_names import ItemNames, for_chart
from app.measured.space_words import code_names, map_legend, sample_words
from app.report.entry import Entry, Source
from app.session.report import shown_figures
from app.session.settings import LAYOUT
from app.session.visitor import owner_id, want_in_tab
from app.space.selection import Selection
from app.studio import Studio
from sparcode.space.places import CODE, ITEM
from sparcode.space.plane import UmapProgress

# Names of more items than that would take the browser longer than the points.
MOST_NAMES: Final = 5000
LABELLED: Final = 5
FOUND: Final = 12
METHODS: Final = {"umap": "UMAP", "pca": "Principal components"}
PLACED: Final = (
    "Items have no tokens: an item stands at the mean of the codes whose posting lists hold it, each weighted by E(code, item) - tau, what "
    "its list adds. An item in no list is not drawn."
)
_CLOUD: Final = "space_cloud"


def space_map(space: CodeSpace, shown: list[int], ranked: np.ndarray, selection: Selection, studio: Studio, names: ItemNames) -> None:
    """Draw the map and the search above it; `umap_status` belongs below."""
    if space.points is None:
        st.info(f"There is no map: {space.why_none}.")
        return
    text = st.text_input(
        "Search titles, genres or item ids: what is found is marked, and the map shows it",
        key="space_search",
        placeholder="e.g. a word of a title, then Enter",
        max_chars=60,
    )
    found = names.search(text or "", FOUND)
    drawn = space.points_of(ITEM, found)
    if text:
        st.caption(_search_words(found, drawn))
    plane = space.pca if st.session_state[LAYOUT.key] == "pca" else studio.spaces.umap(space)
    plane = space.pca if plane is None else plane
    layout = "pca" if plane is space.pca else "umap"
    points = _cloud(space, plane, layout)
    marked = Marked(
        units=tuple(shown),
        codes=tuple(Mark(place, space.units.name(unit)) for place, unit in space.points_of(CODE, shown)),
        items=tuple(Mark(place, names.title(item)) for place, item in space.points_of(ITEM, ranked[:LABELLED].tolist())),
        found=tuple(Mark(place, names.title(item)) for place, item in drawn),
        zoom=f"{text}/{layout}" if drawn else "",
    )
    items = space.points.numbers[space.points.of_kind(ITEM)].tolist()
    # By number; without them the browser shows numbers.
    titles = {str(item): names.title(item) for item in items} if len(items) <= MOST_NAMES else {}
    known = {str(unit): space.units.name(unit) for unit in space.use.units.tolist()} if space.units.of_book is None else {}
    kind = METHODS[layout]
    words = MapWords(
        title=f"{kind} of codes, items and tokens",
        caption=f"{sample_words(space)} Selected: {code_names(space, shown)}.",
        legend=map_legend(space),
        alt=f"{kind} of codes, items and tokens: {sample_words(space)} Selected: {', '.join(map(space.units.name, shown[:12]))}.",
    )

    def make(source: Source, day: str) -> Entry:
        return entry_of(code_map_figure, map_data(space, plane, kind, marked, names), source, day)

    point_map(points, marked, words, {"units": known, "items": titles}, selection.pick, (make, shown_figures()), "space-map")
    st.caption(f"{kind}. {sample_words(space)} Shift with a lasso or box adds to the selection; Ctrl and the wheel zoom.", help=PLACED)


def map_data(space: CodeSpace, plane: np.ndarray, method: str, marked: Marked, names: ItemNames) -> CodeMapData:
    """The map as a chart's data: what stands out, and as many of the other points as a report takes."""
    points, marks = space.points, np.full(len(plane), code_map.PLAIN)
    marks[(points.kinds != ITEM) & np.isin(points.units, marked.units)] = code_map.SELECTED
    marks[[mark.place for mark in marked.items]] = code_map.SELECTED
    marks[[mark.place for mark in marked.found]] = code_map.FOUND
    named = np.array([mark.place for mark in (*marked.codes, *marked.items, *marked.found)], np.int64)
    places = thinned(points.kinds, named)
    kinds, numbers, units = (part[places] for part in (points.kinds, points.numbers, points.units))
    codes = tuple(map(space.units.name, units.tolist()))
    titles = tuple(
        for_chart(names.title(number)) if kind == ITEM else f"code {code}" if kind == CODE else f"token of training user {number}"
        for kind, number, code in zip(kinds.tolist(), numbers.tolist(), codes, strict=True)
    )
    what = "its tokens and the items it ranks first" if len(marked.units) == 1 else "their tokens and the items they rank first"
    said = f"{code_names(space, list(marked.units)).capitalize()} of {len(space.use.units):,} in use, {what}" if marked.units else ""
    return CodeMapData(method, plane[places], kinds, marks[places], titles, codes, len(plane), said)


def _search_words(found: list[int], drawn: list[tuple[int, int]]) -> str:
    if not found:
        return "No item has all of these words."
    if len(drawn) == len(found):
        return f"{len(found)} item{'s' if len(found) > 1 else ''} found."
    return f"{len(found)} found, {len(drawn)} of them on the map: the others are in no list or not in the sample."


def _cloud(space: CodeSpace, plane: np.ndarray, layout: str) -> Cloud:
    """The points as the browser takes them; made once for each layout."""
    version = f"{space.key}/{layout}"
    kept: Cloud | None = st.session_state.get(_CLOUD)
    if kept is None or kept.version != version:
        kept = cloud(version, plane, space.points.kinds, space.points.units, space.points.numbers)
        st.session_state[_CLOUD] = kept
    return kept


def umap_status(space: CodeSpace, studio: Studio, is_final: bool) -> bool:
    """Start UMAP where it is asked for and missing, and tell how far it is; returns whether it is under way.

    `is_final`: the model will not be replaced by a better one in a moment, for which all would be done again.
    """
    if space.points is None or st.session_state[LAYOUT.key] != "umap" or studio.spaces.umap(space) is not None:
        return False
    if not is_final:
        st.caption("Principal components are shown; UMAP starts once the model of this setting is trained.")
        return False
    spaces, job = studio.spaces, studio.spaces.umap_job(space)
    if job is None or job.state is JobState.DONE or (job.active and owner_id() not in job.owners):
        job = spaces.start_umap(space, owner_id())
    want_in_tab(spaces.umap_key(space), studio)
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.active:
            st.progress(*_progress(job))
            st.button("Cancel UMAP", on_click=spaces.cancel_umap, args=(space, owner_id()), key="space-cancel")
            return True
        (st.error if job.state is JobState.FAILED else st.info)(f"{status_text(job)} Principal components are shown.")
        st.button("Start UMAP again", on_click=spaces.retry, args=(job,), key="space-again")
    return False


def _progress(job: JobSnapshot) -> tuple[float, str]:
    """Share done, and words."""
    told = [record for record in job.records if isinstance(record, UmapProgress)]
    beside = "principal components are shown meanwhile"
    if not told:
        return 0.0, f"{status_text(job)} {beside[0].upper()}{beside[1:]}."
    last = told[-1]
    words = {
        "starting": "UMAP: its code is being compiled, a minute the first time on a machine",
        "neighbours": f"UMAP: the {UMAP.n_neighbors} nearest neighbours of every point are looked for",
        "layout": f"UMAP: epoch {last.done} of {last.total}",
    }
    share = {"starting": 0.05, "neighbours": 0.2}.get(last.stage, 0.4 + 0.6 * last.done / max(1, last.total))
    return min(1.0, share), f"{words[last.stage]}, {job.seconds:.0f} s; {beside}"
