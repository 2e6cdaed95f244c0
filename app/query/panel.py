"""One query, from its history to its top items: every stage of the path, driven by the threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.first_visit import first_visit
from app.components.live_chart import charts_of
from app.components.provenance import data_line, kind_badge
from app.components.threshold_slider import threshold_slider
from app.jobs.job import epochs_of, status_text
from app.measured.item_names import ItemNames
from app.measured.measured_index import MeasuredIndex
from app.measured.query_story import QueryStory, as_query, query_story
from app.measured.query_words import answer, change, second_line
from app.measured.setting_jobs import View
from app.query.charts import cuts_chart, lists_chart, scores_chart, shown_lists, tokens_chart
from app.query.columns import query_columns
from app.query.profile import Profile, profile
from app.query.tables import numbers, top_items
from app.session import loaders
from app.session.address import read_address, write_address
from app.session.chosen_data import base_settings, chosen_config, given_settings
from app.session.live_panel import keep_live, live_panel, show_setting
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import KEPT, QUERY, STEP
from app.session.visitor import owner_id
from app.session.widgets import configuration
from app.studio import Studio
from sparcode.comparison.peers import ALL_TO_ALL, TWO_TOWER
from sparcode.config import RunConfig
from sparcode.retrieval.contract import Scorer

POLL_SECONDS: Final = 0.5
WAIT_SECONDS: Final = 1.0
TRAIN_TWO_TOWER: Final = "Train two-tower beside it"
STEPS: Final = {
    "all": "All",
    "history": "1 History",
    "tokens": "2 Tokens and codes",
    "lists": "3 Lists",
    "scores": "4 Scores",
    "top": "5 Top items",
}
_SAID: Final = {
    "history": "A query is a history: the items that a user has chosen so far.",
    "tokens": "The encoder makes a few tokens of the history, each a vector. Each token takes its nearest codes out of finitely many; the "
    "nearer a code, the more weight it has.",
    "lists": "Every code has a posting list: the items with their scores E(code, item), best first, computed ahead of time. The threshold "
    "cuts each list.",
    "scores": "What is left of the lists is added up: weight times (E - tau). So every score is a sum of few parts, each by a list.",
    "top": "The items with the highest sums are returned, without those of the history; beside them the models that score in other ways.",
}
_LIVE: Final = "query_live"
_SHOWN: Final = "query_shown"


def query() -> None:
    """The whole panel; it reruns by itself while something is under way, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(QUERY, base_settings())
    studio = loaders.studio()
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def _panel(studio: Studio) -> None:
    # First on the page, filled once the figures are known.
    answered = st.container()
    with st.container():
        for text in read_address(QUERY, base_settings()):
            st.warning(text)
    chosen = profile(studio, names := studio.item_names)
    with st.expander("Model: codebooks, encoder, seed", expanded=False):
        picked = configuration(studio.config)
    config = chosen_config(picked, studio.config)
    write_address(QUERY, base_settings(), given_settings())
    show_setting(_SHOWN, studio, config)
    view = studio.setting_jobs.follow(config, owner_id(), WAIT_SECONDS)
    training = studio.serving.two_tower_job(config)
    if view.measured is None:
        answered.markdown("#### The model of this setting is being prepared")
        first_visit(view, studio)
    elif len(chosen.kept) == 0:
        answered.markdown("#### Which lists would serve a user of your own?")
        answered.markdown("Search for items above and click some: the profile is answered at once, as a user whom no model has seen.")
    else:
        _path(view, chosen, picked.stop, names, answered, studio)
    keep_live(_LIVE, view.active or (training is not None and training.active))


def _path(view: View, chosen: Profile, stop: int, names: ItemNames, answered: DeltaGenerator, studio: Studio) -> None:
    measured, n_items = view.measured, studio.interactions.n_items
    rivals = _rivals(view.config, studio)

    def story_of(items: object) -> QueryStory:
        return query_story(measured, stop, as_query(items, n_items, chosen.features), chosen.targets, rivals)

    story = story_of(chosen.kept)
    figures_are_of(FiguresOf("Inside a query", studio, measured.config, measured.called, kept=st.session_state[KEPT.key]))
    with answered:
        st.markdown(f"#### {answer(story)}")
        st.markdown(second_line(story) or " ")
        removed = len(chosen.kept) < len(chosen.items)
        st.markdown(change(story_of(chosen.items), story, names) if removed else "Take an item out of the history to see what changes.")
    drawn = f"{measured.version} {hash(tuple(chosen.kept.tolist()))}"
    version = f"{drawn} {st.session_state[KEPT.key]}"
    columns = query_columns(story, measured.stops, drawn, shown_lists(story))
    threshold_slider(st.session_state[KEPT.key], columns, f"{len(story.explained.lists)} lists of this query")
    step = _stepper()
    with st.container():
        if step != "all":
            st.markdown(f"**{STEPS[step]}.** {_SAID[step]}")
    with charts_of(version):
        _stages(step, story, names)
    if step in ("all", "top"):
        _two_tower(view.config, studio)
        top_items(story, names)
    with st.expander("Show data: every token, list and contribution", on_change="rerun", key="query-numbers") as folded:
        if folded.open:
            numbers(story, names)
    _origin(measured, studio)


def _stages(step: str, story: QueryStory, names: ItemNames) -> None:
    charts: dict[str, tuple[Callable[[QueryStory, ItemNames], None], ...]] = {
        "tokens": (tokens_chart,),
        "lists": (lists_chart, cuts_chart),
        "scores": (scores_chart,),
    }
    drawn = [draw for stage, of_stage in charts.items() if step in ("all", stage) for draw in of_stage]
    with st.grid(min(2, max(1, len(drawn))), min_column_width=520):
        for draw in drawn:
            draw(story, names)


def _stepper() -> str:
    """The stage that is shown: one of `STEPS`."""
    now = st.session_state[STEP.key]
    stages = list(STEPS)
    key = f"query-step-{now}"

    def show(stage: str) -> None:
        st.session_state[STEP.key] = stage

    def changed() -> None:
        show(st.session_state.get(key) or now)

    place = stages.index(now)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.segmented_control(
            STEP.label, stages, default=now, format_func=STEPS.__getitem__, key=key, on_change=changed, required=True, help=STEP.help
        )
        st.button("Back", on_click=show, args=(stages[place - 1],), disabled=place == 0, key="query-back", help="The stage before")
        st.button("Next", on_click=show, args=(stages[(place + 1) % len(stages)],), key="query-next", shortcut="N", help="The stage after")
    return now


def _rivals(config: RunConfig, studio: Studio) -> dict[str, Scorer]:
    """Models that score the same query in other ways, as far as they are trained."""
    backbone, two_tower = studio.backbones.of(config), studio.serving.known_two_tower(config)
    found = {TWO_TOWER: None if two_tower is None else two_tower.model, ALL_TO_ALL: None if backbone is None else backbone.model}
    return {name: model for name, model in found.items() if model is not None}


def _two_tower(config: RunConfig, studio: Studio) -> None:
    """A button that trains it where it is missing."""
    if studio.serving.known_two_tower(config) is not None:
        return
    job = studio.serving.two_tower_job(config)
    if job is not None and job.active:
        epochs = epochs_of(job)
        st.info("Two-tower is being trained for this comparison." + (f" Epoch {epochs[-1].epoch}." if epochs else ""))
        return
    if job is not None:
        st.caption(status_text(job))
    if st.button(TRAIN_TWO_TOWER, help="Once for each encoder and seed; then its top items stand beside SparCode's."):
        studio.serving.start_two_tower(config, owner_id())
        st.rerun()


def _origin(measured: MeasuredIndex, studio: Studio) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(measured.called, measured.recording)
        st.caption(
            f"{data_line(studio)}. Everything above is computed by the model and index themselves. "
            f"Measured on this machine: {studio.machine}."
        )
