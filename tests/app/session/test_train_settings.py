from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError
from streamlit.testing.v1 import AppTest

from app.session.plain_text import plain_text
from app.session.train_settings import (
    DECAY,
    DIMENSIONS,
    ENCODER,
    EPOCHS,
    FIELDS,
    RATE,
    SEED,
    UPDATE,
    TrainField,
    bounds,
    default_of,
    field_info,
    run_config_of,
    settings_text,
    split_evenly,
)
from sparcode.config import RunConfig

BASE = RunConfig.for_data(True)


def page() -> None:
    import streamlit as st

    from app.session.train_settings import FIELDS, field_widget, refused_train_settings
    from sparcode.config import RunConfig

    base = RunConfig.for_data(True)
    for text in refused_train_settings(base):
        st.warning(text)
    for field in FIELDS:
        st.session_state[f"value of {field.name}"] = field_widget(field, base)


def opened(**address: str | list[str]) -> AppTest:
    app = AppTest.from_function(page)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def chosen(app: AppTest, field: TrainField) -> object:
    return app.session_state[f"value of {field.name}"]


def test_without_an_address_the_widgets_hold_the_defaults() -> None:
    app = opened()
    assert not app.exception
    assert {field.name: chosen(app, field) for field in FIELDS} == {field.name: default_of(field, BASE) for field in FIELDS}
    assert not app.warning


def test_a_link_opens_with_its_values() -> None:
    app = opened(t_encoder="gru", t_dim="20", t_rate="0.005")
    assert (chosen(app, ENCODER), chosen(app, DIMENSIONS), chosen(app, RATE)) == ("gru", 20, 0.005)
    assert not app.warning


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("t_encoder", "bert", "Encoder = bert, which is not possible; mean is used. Allowed: mean, gru, sasrec."),
        ("t_dim", "3", "Dims D = 3, which is not possible; 16 is used. Allowed: 4 to 512."),
        ("t_epochs", "many", "Epochs = many"),
        ("t_ema", "1", "EMA decay = 1,"),
        ("t_dim", ["8", "16"], "Dims D = 8 and 16"),
        ("t_seed", "<b>[x](y)", "Seed = ?b??x?(y),"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_and_replaced(key: str, value: str | list[str], says: str) -> None:
    app = opened(**{key: value})
    assert not app.exception
    assert says in app.warning[0].value
    (field,) = [field for field in FIELDS if field.key == key]
    assert chosen(app, field) == default_of(field, BASE)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("t_data", "zzz", "Data set = zzz, which is not possible; studio is used. Allowed: studio, small, standard, upload."),
        ("t_data_seed", "abc", "Seed of the data = abc,"),
        ("t_data_seed", "2147483648", "Allowed: 0 to 2147483647."),
        ("t_two_tower", "maybe", "Train two-tower, too = maybe, which is not possible; true is used."),
    ],
)
def test_what_is_asked_for_beside_the_fields_is_named_as_well(key: str, value: str, says: str) -> None:
    assert says in opened(**{key: value}).warning[0].value


@pytest.mark.parametrize(("key", "value"), [("t_data", "small"), ("t_data_seed", "7"), ("t_two_tower", "false")])
def test_what_may_be_asked_for_is_not_named(key: str, value: str) -> None:
    assert not opened(**{key: value}).warning


def test_the_note_stays_until_a_setting_is_changed() -> None:
    app = opened(t_dim="3").run()
    assert app.warning
    app.number_input(key="t_epochs").set_value(7).run()
    assert not app.warning


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_widget_explains_itself_and_has_a_key_of_its_own(field: TrainField) -> None:
    assert field_info(field).description
    assert sum(other.key == field.key for other in FIELDS) == 1


@pytest.mark.parametrize("field", [field for field in FIELDS if isinstance(default_of(field, BASE), int | float)], ids=lambda f: f.name)
def test_both_ends_of_a_widget_are_valid_settings(field: TrainField) -> None:
    for value in bounds(field):
        chosen = int(value) if field.number_format == "%d" else value
        assert default_of(field, run_config_of(BASE, {field: chosen}, "1", "8")) == chosen


def test_bounds_are_those_of_the_settings() -> None:
    assert bounds(EPOCHS) == (1, 1000)
    assert bounds(DECAY) == (0.5, 0.999)
    assert bounds(SEED) == (0, 2**31 - 1)


@pytest.mark.parametrize(
    ("wanted", "n_codebooks", "fitting"), [(16, 4, 16), (18, 4, 20), (17, 4, 16), (4, 8, 8), (512, 3, 510), (511, 2, 512)]
)
def test_dimensions_are_corrected_to_the_nearest_that_splits_evenly(wanted: int, n_codebooks: int, fitting: int) -> None:
    assert split_evenly(wanted, n_codebooks) == fitting


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of n_codebooks"):
        run_config_of(BASE, {DIMENSIONS: 18}, "4", "8")


def test_what_the_page_does_not_offer_comes_from_the_base() -> None:
    config = run_config_of(BASE, {ENCODER: "gru"}, "4", "8")
    assert config.training == BASE.training
    assert (config.model.encoder, config.quantizer.n_codebooks, config.quantizer.codebook_size) == ("gru", 4, 8)
    assert settings_text(config).startswith("gru, mlp, T = 4, D = 16, M = 4, K = 8,")


def test_runs_that_differ_in_any_field_read_differently() -> None:
    for field in FIELDS:
        default = default_of(field, BASE)
        other = next(value for value in get_args(field_info(field).annotation) if value != default) if isinstance(default, str) else None
        changed = {field: default + 1 if isinstance(default, int) else default / 2 + 0.3 if other is None else other}
        # The decay is told where codewords follow it.
        with_decay = {UPDATE: "ema"} if field is DECAY else {}
        texts = {settings_text(run_config_of(BASE, {**with_decay, **values}, "1", "8")) for values in ({}, changed)}
        assert len(texts) == 2, field.name


def test_plain_text_means_nothing_in_markdown() -> None:
    assert plain_text("a_b*c`d[e](f)<g>$h:i|j#k!~") == "a?b?c?d?e?(f)?g??h?i?j?k??"
    assert len(plain_text("x" * 1000)) == 60
