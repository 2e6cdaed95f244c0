from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.session.configuration import CODEBOOK_SIZE, CODEBOOKS, KEPT, SETTINGS, Configuration, Setting, quantizer_config
from sparcode.config import QuantizerConfig, RunConfig, TrainingConfig


def page() -> None:
    import streamlit as st

    from app.session.state import configuration, refused_settings

    for text in refused_settings():
        st.warning(text)
    configuration()


def opened(**address: str | list[str]) -> AppTest:
    app = AppTest.from_function(page)
    for name, value in address.items():
        app.query_params[name] = value
    return app.run()


def chosen(app: AppTest) -> dict[str, str]:
    return {widget.key: widget.value for widget in (*app.select_slider, *app.selectbox)}


DEFAULTS = {setting.key: setting.default for setting in SETTINGS}


def test_without_an_address_the_defaults_are_those_of_the_settings_file() -> None:
    app = opened()
    assert chosen(app) == DEFAULTS
    assert quantizer_config(DEFAULTS["m"], DEFAULTS["k"]) == QuantizerConfig()
    assert float(DEFAULTS["keep"]) == 100 * TrainingConfig().density
    assert not app.warning


def test_a_link_opens_with_its_values() -> None:
    asked = {"m": "4", "k": "16", "t": "8", "interaction": "cross", "encoder": "gru", "seed": "3", "keep": KEPT.options[40]}
    app = opened(**asked)
    assert chosen(app) == asked
    assert not app.warning


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("m", "3", "m = 3"),
        ("m", "", "m ="),
        ("k", "abc", "k = abc"),
        ("k", "1e2", "k = 1e2"),
        ("keep", "999", "keep = 999"),
        ("keep", "0", "keep = 0"),
        ("m", ["4", "2"], "m = 4 and 2"),
        ("t", "16", "t = 16"),
        ("interaction", "dnn", "interaction = dnn"),
        ("encoder", "lstm", "encoder = lstm"),
        ("seed", "-1", "seed = -1"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_and_replaced(name: str, value: str | list[str], says: str) -> None:
    app = opened(**{name: value})
    (warning,) = app.warning
    assert says in warning.value
    assert f"{DEFAULTS[name]} is used" in warning.value
    assert chosen(app) == DEFAULTS


def test_the_allowed_values_are_listed_where_they_are_few() -> None:
    assert "Allowed: 1, 2, 4." in opened(m="9").warning[0].value
    assert f"from {KEPT.options[0]} to {KEPT.options[-1]}" in opened(keep="9999").warning[0].value


def test_one_bad_value_leaves_the_good_ones() -> None:
    app = opened(m="9", k="32")
    assert chosen(app) == {**DEFAULTS, "k": "32"}
    assert len(app.warning) == 1


def test_text_of_the_address_is_not_rendered_as_markdown() -> None:
    (warning,) = opened(k="[x](http://a.b)<b>*_`" + "y" * 100).warning
    asked = warning.value.partition("k = ")[2].partition(", which")[0]
    assert not set(asked) & set("[]()<>*_`:/")
    assert len(asked) <= 90


@pytest.mark.parametrize(
    ("value", "says"),
    [("2_128", "it takes 7 values, got 2"), ("2_128_4_mlp_mean_0_77", "keep 77 is not possible"), ("9_" * 6 + "20", "m 9 is not")],
)
def test_a_pinned_run_that_is_not_possible_is_named_and_none_is_pinned(value: str, says: str) -> None:
    app = opened(pin=value)
    (warning,) = app.warning
    assert says in warning.value
    # The address has the first word; from the second run on it is put right.
    app.run()
    assert app.session_state["pin"] == ""
    assert "pin" not in app.query_params
    assert chosen(app) == DEFAULTS


def test_a_pinned_run_comes_with_the_link() -> None:
    text = Configuration(m="1", interaction="dot").text
    app = opened(pin=text)
    assert app.session_state["pin"] == text
    assert not app.warning


@pytest.mark.parametrize(
    ("value", "is_good"), [("5", True), ("0.5", True), ("0", False), ("99999999", False), ("nan", False), ("x", False)]
)
def test_a_budget_that_is_not_possible_is_named(value: str, is_good: bool) -> None:
    said = [warning.value for warning in opened(mb=value).warning]
    assert (said == []) == is_good
    assert all("2 is used. Allowed: a number from 0.01 to 10000" in text for text in said)


def test_the_note_stays_until_a_setting_is_changed() -> None:
    app = opened(m="9").run()
    assert app.warning
    app.select_slider(key="k").set_value("64").run()
    assert not app.warning


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_has_help_and_a_default_that_is_allowed(setting: Setting) -> None:
    assert setting.default in setting.options
    assert setting.help
    assert len(setting.options) == len(set(setting.options))


def test_every_choice_makes_valid_settings() -> None:
    for n_codebooks in CODEBOOKS.options:
        for size in CODEBOOK_SIZE.options:
            quantizer = RunConfig(quantizer=quantizer_config(n_codebooks, size)).quantizer
            assert (quantizer.n_codebooks, quantizer.codebook_size) == (int(n_codebooks), int(size))
    for setting in SETTINGS:
        for value in setting.options:
            Configuration(**{setting.key: value}).run_config(RunConfig.for_data(synthetic=True))
