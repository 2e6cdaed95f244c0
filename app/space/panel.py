"""The code space: where codes, items and tokens lie, how codes are used, and what selected codes stand for."""

from __future__ import annotations

from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.components.provenance import data_line, kind_badge
from app.jobs.job import JobSnapshot, JobState, epochs_of, status_text
from app.measured.code_spaces import CodeSpace, SpaceWanted
from app.measured.setting_jobs import View
from app.measured.space_words import answer, code_names, genre_words
from app.session import loaders
from app.session.address import read_address, write_address
from app.session.chosen_data import base_settings, chosen_config, given_settings
from app.session.live_panel import keep_live, live_panel, show_setting
from app.session.report import FiguresOf, figures_are_of
from app.session.settings import KEPT, LAYOUT, POINTS, SPACE, VIEW, Setting
from app.session.visitor import owner_id, want_in_tab
from app.session.widgets import configuration
from app.space.charts import bars_chart, genres_chart, has_pairs, pairs_chart, together_chart
from app.space.map import space_map, umap_status
from app.space.selection import MOST_SELECTED, Selection, read_words
from app.space.tables import codes_table, items_table, users_table
from app.studio import Studio
from sparcode.config import RunConfig
from sparcode.space.lift import Labels
from sparcode.space.units import CodeUnits

POLL_SECONDS: Final = 1.0
WAIT_SECONDS: Final = 1.0
# Items ranked first whose genres are counted.
RANKED: Final = 50
LIFT_HELP: Final = (
    f"Among the {RANKED} items that the selected codes rank first: the share with a genre, divided by its share in the catalogue. The "
    "catalogue's share is known exactly; the interval is the exact one (Clopper and Pearson) of the share among the items ranked first, "
    "divided by it, and so wide that the intervals of all genres hold together in 95 of 100 selections."
)
RANK_HELP: Final = (
    "By what a token that takes one of the selected codes adds to an item on average: the mean of E(code, item) - tau over these tokens, "
    "at the model's own threshold. What a code stands for is shown by its items alone: codes have no names."
)
_LIVE: Final = "space_live"
_SHOWN: Final = "space_shown"
_genres: Final[WeakKeyDictionary[Studio, Labels]] = WeakKeyDictionary()


def space() -> None:
    """The whole panel; it reruns by itself while something is under way, without the rest of the page."""
    # First, because a run that another one cuts short is the only one that knows of Back or Forward.
    read_address(SPACE, base_settings())
    # Not moved here, but part of every choice.
    st.session_state.setdefault(KEPT.key, KEPT.start)
    studio = loaders.studio()
    live_panel(_panel, _LIVE, POLL_SECONDS, studio)


def _panel(studio: Studio) -> None:
    # First on the page, filled once the figures are known.
    answered = st.container()
    with st.container():
        for text in read_address(SPACE, base_settings()):
            st.warning(text)
    with st.expander("Model: codebooks, encoder, seed", expanded=False):
        picked = configuration(studio.config)
    config = chosen_config(picked, studio.config)
    units = _looked_at(config, studio)
    write_address(SPACE, base_settings(), given_settings())
    show_setting(_SHOWN, studio, config)
    view = studio.setting_jobs.follow(config, owner_id(), WAIT_SECONDS)
    mapping, job = False, None
    if view.measured is None or not view.measured.complete:
        _waiting(view, answered)
    else:
        wanted = SpaceWanted(units.book, int(st.session_state[POINTS.key]))
        found, job = studio.spaces.space(view.measured, wanted, owner_id(), WAIT_SECONDS)
        if found is None:
            _making(job, answered, studio)
        else:
            mapping = _found(found, view, answered, studio)
    keep_live(_LIVE, view.active or mapping or (job is not None and job.active))


def genres_of(studio: Studio) -> Labels:
    """The genres of a studio's items, made once."""
    if studio not in _genres:
        _genres[studio] = Labels(studio.item_names.genres)
    return _genres[studio]


def _looked_at(config: RunConfig, studio: Studio) -> CodeUnits:
    """Whole codes or one codebook, as far as the model has it, with the choice; layout and number of points beside it."""
    n_books, size = config.quantizer.codebooks(studio.interactions.n_items)
    books = [option for option in VIEW.options if option == "whole" or int(option) <= n_books]
    asked = st.session_state[VIEW.key]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if n_books > 1 or asked not in books:
            _choice(VIEW, {option: "Whole codes" if option == "whole" else f"Codebook {option}" for option in books})
        _choice(LAYOUT, {"umap": "UMAP", "pca": "Principal components"})
        _choice(POINTS, {option: f"{int(option):,}" for option in POINTS.options})
    if asked not in books:
        st.warning(
            f"This model has {n_books} codebook{'s' if n_books > 1 else ''}, so there is no codebook {asked}: whole codes are shown."
        )
        asked = VIEW.start
    return CodeUnits(n_books, size, None if asked == VIEW.start or n_books == 1 else int(asked) - 1)


def _choice(setting: Setting, words: dict[str, str]) -> None:
    now = st.session_state[setting.key]
    key = f"space-{setting.key}-{now}"

    def changed() -> None:
        if st.session_state.get(key):
            st.session_state[setting.key] = st.session_state[key]

    known = now in words
    st.segmented_control(
        setting.label,
        list(words),
        default=now if known else None,
        format_func=words.__getitem__,
        key=key,
        on_change=changed,
        required=known,
        help=setting.help,
    )


def _waiting(view: View, answered: DeltaGenerator) -> None:
    answered.markdown("#### The model of this setting is being prepared")
    job = view.waiting
    if job is None or job.active:
        done = "" if job is None or not epochs_of(job) else f" Epoch {epochs_of(job)[-1].epoch}."
        st.info("The first visit to a setting trains its backbone and builds its index." + done)
    else:
        st.error(status_text(job))


def _making(job: JobSnapshot | None, answered: DeltaGenerator, studio: Studio) -> None:
    answered.markdown("#### The codes of all users are being counted")
    if job is None or job.active or job.state is JobState.DONE:
        if job is not None:
            want_in_tab(job.key, studio)
        st.info("Every user's history is encoded once; this takes seconds for a large data set.")
    else:
        st.error(status_text(job))
        st.button("Try again", on_click=studio.spaces.retry, args=(job,), key="space-retry")


def _found(found: CodeSpace, view: View, answered: DeltaGenerator, studio: Studio) -> bool:
    """Everything about a code space; returns whether its map is still being made."""
    names, labels = studio.item_names, genres_of(studio)
    selection = Selection(f"{studio.scope}/{view.config.content_hash()}", found.units)
    in_use = set(found.use.units.tolist())
    if warning := selection.warning(in_use):
        st.warning(warning)
    selection.write()
    chosen = [unit for unit in selection.all if unit in in_use]
    shown = chosen or found.use.units[found.use.order][:1].tolist()
    ranked = found.ranked(np.array(shown, np.int64), RANKED)
    lifts = labels.lifts(ranked[0])
    figures_are_of(FiguresOf("Code space", studio, view.config, view.measured.called))
    with answered:
        st.markdown(f"#### {answer(found, shown, names)}")
        st.markdown(genre_words(lifts, bool(labels.names)), help=LIFT_HELP)
    _selector(found, selection, chosen, shown)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        space_map(found, shown, ranked[0], selection, studio, names)
        mapping = umap_status(found, studio, not view.active)
    with right:
        st.markdown(f"**Ranked first by {code_names(found, shown)}**", help=RANK_HELP)
        items_table(ranked, names)
        users_table(found, shown, studio.split.train, names)
    with st.grid(2, min_column_width=520):
        genres_chart(lifts, bool(labels.names))
        together_chart(found, shown, selection)
        bars_chart(found, shown, selection)
        if has_pairs(found.units):
            pairs_chart(found, shown, selection)
    with st.expander("Show data: every code in use", on_change="rerun", key="space-numbers") as folded:
        if folded.open:
            codes_table(found, selection, shown, names)
    with st.container(horizontal=True, vertical_alignment="center"):
        kind_badge(view.measured.called, view.measured.recording)
        st.caption(
            f"{data_line(studio)}. Codes are those of {found.use.n_users:,} training users. Measured on this machine: {studio.machine}."
        )
    return mapping


def _selector(found: CodeSpace, selection: Selection, chosen: list[int], shown: list[int]) -> None:
    """The selection as text, which can be written by keyboard alone."""
    text = ", ".join(map(found.units.name, chosen))
    key = f"space-codes-{hash((found.units, tuple(selection.all)))}"

    def written() -> None:
        units, refused = read_words(st.session_state[key], found.units)
        selection.replace(units)
        st.session_state["space_unread"] = refused

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        example = "e.g. 3·17, 4·9" if found.units.of_book is None else "e.g. 3, 17"
        with st.container(width=420):
            st.text_input("Selected codes", text, key=key, on_change=written, placeholder=example, max_chars=400)
        st.button("Select none", on_click=selection.clear, disabled=not selection.all, key="space-none")
        st.caption(
            f"{len(chosen)} of at most {MOST_SELECTED} selected. Click a code, a token or an item in any chart, or draw a lasso."
            if chosen
            else f"None is selected, so the most used one is shown: {code_names(found, shown)}. Click a code in any chart, or draw a lasso."
        )
    if refused := st.session_state.pop("space_unread", []):
        st.warning(f"Not read as codes of this model: {', '.join(word[:20] for word in refused[:6])}. Write numbers, separated by commas.")
