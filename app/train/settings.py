"""The column of settings of a training from scratch: data, networks, codes, epochs."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import streamlit as st
from pydantic import ValidationError

from app.session import loaders
from app.session.owner import owner_id
from app.session.plain_text import plain_text
from app.session.state import CODEBOOK_SIZE, CODEBOOKS, slider
from app.session.train_settings import (
    BETA,
    DATA,
    DATA_CHOICES,
    DATA_SEED,
    DECAY,
    DIMENSIONS,
    ENCODER,
    EPOCHS,
    INTERACTION,
    JOINT_EPOCHS,
    JOINT_RATE,
    PATIENCE,
    RATE,
    SEED,
    TOKENS,
    UPDATE,
    WITH_TWO_TOWER,
    TrainField,
    field_widget,
    forget_refused,
    run_config_of,
    split_evenly,
    use_defaults,
)
from app.studio import Studio
from app.training.data import MAX_SYNTHETIC_SEED, MAX_UPLOAD_MB, UPLOAD_EXTENSIONS, TrainingData
from sparcode.config import RunConfig, SyntheticConfig
from sparcode.config_message import validation_message

_DATA_HELP: Final = (
    "studio: the data this studio was started with; small, standard: made-up data (a planted catalogue) of two sizes, any seed; "
    "upload: a file of your own."
)
_UPLOAD_HELP: Final = (
    "A MovieLens archive as published (.zip), or a table (.csv, .tsv, .parquet) with one row per interaction: columns such as user_id, "
    f"item_id and, if there are times, timestamp. Up to {MAX_UPLOAD_MB} MB. It stays in this server's memory, for this browser only."
)


class Choice(NamedTuple):
    """What the next run is to be."""

    data: TrainingData
    config: RunConfig
    two_tower: bool


def training_settings(studio: Studio) -> Choice | None:
    """The widgets.

    Parameters
    ----------
    studio
        Its data is one of the choices.

    Returns
    -------
    Choice or None
        None where the settings cannot be used; the page then says why.
    """
    defaults = loaders.run_config(studio.interactions.synthetic)
    data = _data(studio)
    base = defaults if data is None else loaders.run_config(data.synthetic)
    if base != defaults:
        st.button("Use the defaults for this data", on_click=use_defaults, args=(base,), width="stretch")
    values = _pair(ENCODER, INTERACTION, defaults) | _pair(TOKENS, DIMENSIONS, defaults)
    n_codebooks = slider(CODEBOOKS)
    values[DIMENSIONS] = _evenly_split(values[DIMENSIONS], int(n_codebooks))
    codebook_size = slider(CODEBOOK_SIZE)
    values |= _pair(UPDATE, DECAY, defaults) | _pair(BETA, SEED, defaults) | _epochs(defaults)
    two_tower = st.checkbox(
        "Train two-tower, too",
        value=True,
        key=WITH_TWO_TOWER,
        bind="query-params",
        on_change=forget_refused,
        help="The two-tower baseline on the same data, loss and budget of epochs, after SparCode. It is trained once per setting of the "
        "networks and known from then on. The all-to-all baseline is the first stage of every run.",
    )
    if data is None:
        return None
    try:
        return Choice(data, run_config_of(base, values, n_codebooks, codebook_size), two_tower)
    except ValidationError as error:
        st.error(f"These settings do not go together: {validation_message(error)}")
        return None


def _data(studio: Studio) -> TrainingData | None:
    shelf = studio.from_scratch.shelf
    chosen = st.selectbox("Data set", DATA_CHOICES, key=DATA, bind="query-params", help=_DATA_HELP, on_change=forget_refused)
    if chosen == "upload":
        data = _uploaded(studio)
    elif chosen == "studio":
        data = shelf.own()
    else:
        seed = st.number_input(
            "Seed of the data",
            0,
            MAX_SYNTHETIC_SEED,
            value=0,
            key=DATA_SEED,
            bind="query-params",
            on_change=forget_refused,
            help=SyntheticConfig.model_fields["seed"].description,
        )
        data = shelf.synthetic(chosen == "small", int(seed))
    if data is not None:
        st.caption(f"{plain_text(data.name)}: {data.facts}")
    return data


def _uploaded(studio: Studio) -> TrainingData | None:
    shelf = studio.from_scratch.shelf
    file = st.file_uploader("Your file", type=list(UPLOAD_EXTENSIONS), max_upload_size=MAX_UPLOAD_MB, help=_UPLOAD_HELP)
    if file is not None:
        try:
            with st.spinner("Reading the file ..."):
                return shelf.upload(owner_id(), file.name, file.getvalue())
        except ValueError as error:
            st.error("This file cannot be used.")
            # File and column names are anybody's text.
            st.text(str(error))
            st.caption("A table needs a header line that tells users from items, with names such as user_id, item_id and timestamp.")
            return None
    data = shelf.uploaded(owner_id())
    if data is None:
        st.info("Choose a file to train on.")
    return data


def _evenly_split(token_dim: int, n_codebooks: int) -> int:
    """D, corrected where M codebooks cannot share it evenly, and then said so."""
    fitting = split_evenly(token_dim, n_codebooks)
    if fitting != token_dim:
        st.info(f"D = {token_dim} cannot be cut into M = {n_codebooks} equal parts, one per codebook: **D = {fitting}** is used.")
    return fitting


def _epochs(base: RunConfig) -> dict[TrainField, Any]:
    values = _pair(EPOCHS, JOINT_EPOCHS, base)
    with st.expander("Step sizes and patience"):
        return values | _pair(RATE, JOINT_RATE, base) | {PATIENCE: field_widget(PATIENCE, base)}


def _pair(first: TrainField, second: TrainField, base: RunConfig) -> dict[TrainField, Any]:
    columns = st.columns(2)
    values = {}
    for column, field in zip(columns, (first, second), strict=True):
        with column:
            values[field] = field_widget(field, base)
    return values
