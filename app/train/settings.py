"""The column of settings of a training from scratch: data, networks, codes, epochs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st
from pydantic import ValidationError

from app.components.data_profile import data_profile
from app.session import loaders
from app.session.address import forget_refused, plain_text
from app.session.offered_data import uploaded_file
from app.session.settings import CODEBOOKS, DATA, DATA_SEED, DIMENSIONS, TRAIN, TWO_TOWER, Setting, settings_of, split_evenly, with_values
from app.session.widgets import widget
from app.studio import Studio
from app.training.data import TrainingData
from sparcode.config import RunConfig
from sparcode.config_message import validation_message
from sparcode.data.profile import profile_of
from sparcode.training.recommended import recommended


class Choice(NamedTuple):
    """Data, settings and baseline of the next run."""

    data: TrainingData
    config: RunConfig
    two_tower: bool


def training_settings(studio: Studio, defaults: RunConfig) -> Choice | None:
    """The widgets, with defaults that suit the studio's data; None where the settings cannot be used, which the page then explains."""
    data = _data(studio)
    base = defaults if data is None else loaders.run_config(data.synthetic)
    if base != defaults:
        st.button("Use the defaults for this data", on_click=_use_defaults, args=(base,), width="stretch")
    of_run = [setting for setting in settings_of(TRAIN) if setting.in_run]
    values = _in_pairs([setting for setting in of_run if not setting.folded])
    with st.expander("Step sizes and patience"):
        values |= _in_pairs([setting for setting in of_run if setting.folded])
    two_tower = widget(TWO_TOWER)
    if data is not None and not data.synthetic:
        _on_the_command_line(data, studio)
    if data is None or None in values.values():
        return None
    values[DIMENSIONS] = _evenly_split(values[DIMENSIONS], values[CODEBOOKS])
    try:
        return Choice(data, with_values(base, values), two_tower)
    except ValidationError as error:
        st.error(f"These settings do not go together: {validation_message(error)}")
        return None


def _on_the_command_line(data: TrainingData, studio: Studio) -> None:
    """What ``sparcode train`` would choose for real data, and why: a run here fits neither item lists nor pair features."""
    reason = recommended(data.split(), RunConfig.for_data(False), {}).reason
    if not reason:
        return
    source, flags = loaders.chosen_source() if data.key == studio.own_data.key else (loaders.OWN_DATA, "")
    st.caption(f"A run here trains the network's codes alone. On the command line other settings are chosen for this data. {reason}.")
    # Of a path only the name, since pages may be public.
    st.code(f"sparcode train --data {shlex.quote(Path(source).name)} {flags}".strip(), language="bash", wrap_lines=True)


def _use_defaults(base: RunConfig) -> None:
    for setting in settings_of(TRAIN):
        if setting.in_run and not setting.options:
            st.session_state[setting.key] = setting.default(base)
    forget_refused()


def _data(studio: Studio) -> TrainingData | None:
    shelf, chosen = studio.from_scratch.shelf, widget(DATA)
    if chosen == "upload":
        data = uploaded_file(studio, "train")
    elif chosen == DATA.start:
        data = studio.own_data
    else:
        seed = widget(DATA_SEED)
        data = None if seed is None else shelf.synthetic(chosen == "small", seed)
    if data is not None:
        st.caption(f"{plain_text(data.name)}: {data.facts}")
        if data.dropped:
            st.caption("**Left out**: " + "; ".join(f"{n:,} {reason}" for reason, n in data.dropped.items()))
        if not data.synthetic:
            with st.popover("Profile of this data", on_change="rerun", width="stretch", key="train-profile") as profile:
                if profile.open:
                    data_profile(profile_of(data.interactions(), data.dropped), "chart-profile")
    return data


def _evenly_split(token_dim: int, n_codebooks: str) -> int:
    """D, corrected with a note where M codebooks cannot share it evenly."""
    fitting = split_evenly(token_dim, int(n_codebooks))
    if fitting != token_dim:
        st.info(f"D = {token_dim} cannot be cut into M = {n_codebooks} equal parts, one per codebook: **D = {fitting}** is used.")
    return fitting


def _in_pairs(settings: list[Setting]) -> dict[Setting, Any]:
    """The values of the settings' widgets, drawn in pairs; a slider has the whole width."""
    values, half = {}, None
    for setting in settings:
        if setting.control == "slider":
            half, place = None, st.container()
        else:
            half = st.columns(2) if half is None else half[1:]
            place = half[0]
            half = half if len(half) == 2 else None
        with place:
            values[setting] = widget(setting)
    return values
