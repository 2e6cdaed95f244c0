"""The map: points laid out by UMAP, or by principal components until it is there, and how far UMAP is."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st

from app.components.point_map import Cloud, Mark, Marked, cloud, point_map
from app.jobs.job import JobSnapshot, JobState, status_text
from app.measured.code_spaces import UMAP, CodeSpace
from app.measured.item_names import ItemNames
from app.measured.space_words import map_legend, sample_words
from app.session.settings import LAYOUT
from app.session.visitor import owner_id, want_in_tab
from app.space.selection import Selection
from app.studio import Studio
from sparcode.space.places import CODE, ITEM
from sparcode.space.plane import UmapProgress

# Names of more items than that would take the browser longer than the points.
MOST_NAMES: Final = 3000
LABELLED: Final = 5
FOUND: Final = 12
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
    layout = "pca" if plane is None or plane is space.pca else "umap"
    points = _cloud(space, space.pca if plane is None else plane, layout)
    marked = Marked(
        units=tuple(shown),
        codes=tuple(Mark(place, space.units.name(unit)) for place, unit in space.points_of(CODE, shown)),
        items=tuple(Mark(place, names.title(item)) for place, item in space.points_of(ITEM, ranked[:LABELLED].tolist())),
        found=tuple(Mark(place, names.title(item)) for place, item in drawn),
        zoom=f"{text}/{layout}" if drawn else "",
    )
    # By number; without them the browser shows numbers.
    titles = [names.title(item) for item in range(len(names))] if len(names) <= MOST_NAMES else []
    known = {str(unit): space.units.name(unit) for unit in space.use.units.tolist()} if space.units.of_book is None else {}
    kind = "UMAP" if layout == "umap" else "Principal components"
    alt = f"{kind} of codes, items and tokens: {sample_words(space)} Selected: {', '.join(map(space.units.name, shown[:12]))}."
    point_map(points, marked, map_legend(space), {"units": known, "items": titles}, alt, selection.pick, "space-map")
    st.caption(f"{kind}. {sample_words(space)} Shift with a lasso or box adds to the selection; Ctrl and the wheel zoom.", help=PLACED)


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
