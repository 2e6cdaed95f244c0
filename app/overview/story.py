"""The Overview's story: a real query on two-tower's and on SparCode's path, side by side."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st

from app.components.two_paths import two_paths
from app.measured.measured_index import MeasuredIndex
from app.measured.query_story import as_query, query_story
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from app.measured.two_paths import stages
from app.session.live_panel import keep_live, live_panel
from app.session.visitor import owner_id
from app.studio import Studio
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import FLAT, SPARCODE, TWO_TOWER

POLL_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 1.0
ANOTHER: Final = "Another user"
_LIVE: Final = "story_live"
_USER: Final = "story_user"


def story(studio: Studio) -> None:
    """The stages of one query; looks again by itself until the run's index is there. Trains nothing."""
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def _panel(studio: Studio) -> None:
    # Following a run without a trained model would train it.
    known = studio.tuned.of(studio.config) is not None
    jobs = studio.setting_jobs
    view = jobs.follow(studio.config, owner_id(), WAIT_SECONDS) if known else jobs.view(studio.config)
    if view.measured is None:
        st.caption("One user's query is shown here once this run has a model: the Index Explorer makes one.")
    else:
        _paths(view.measured, studio)
    keep_live(_LIVE, view.measured is None and view.active)


def _paths(measured: MeasuredIndex, studio: Studio) -> None:
    test, two_tower = studio.split.test, studio.serving.known_two_tower(studio.config)
    row = st.session_state.get(_USER, 0) % len(test.queries)
    model = None if two_tower is None else two_tower.model
    features = None if test.queries.features is None else test.queries.features[[row]]
    query = as_query(test.queries[row], studio.interactions.n_items, features)
    rivals = {} if model is None else {TWO_TOWER: model}
    followed = query_story(measured, KEPT_PERCENTS.index(DEFAULT_PERCENT), query, test.targets[row].astype(np.int64), rivals)
    two_paths(stages(followed, studio.item_names, measured.config, model, over_all_users(studio)), "overview-paths")
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(ANOTHER, on_click=_another, args=(len(test.queries),), help="A test user drawn at random")
        st.caption(f"Test user {row} of {len(test.queries):,}, whom no model was trained on.")


def over_all_users(studio: Studio) -> dict[str, Measurement]:
    """Name -> measurement of the run over all test users, recalls of single users included where they were kept."""
    found: dict[str, Measurement] = {}
    result = studio.serving.result(studio.config)
    for point in result.points if result else ():
        if point.name == FLAT:
            found[TWO_TOWER] = point
        elif point.name == SPARCODE and point.setting == f"{studio.config.training.density:.0%} of scores":
            found[SPARCODE] = point
    return found


def _another(n_users: int) -> None:
    st.session_state[_USER] = int(np.random.default_rng().integers(n_users))
