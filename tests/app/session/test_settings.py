from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.session.address import plain_text
from app.session.settings import (
    DIMENSIONS,
    KEPT,
    SETTINGS,
    TRAIN,
    Setting,
    has_effect,
    settings_of,
    settings_text,
    split_evenly,
    with_values,
)
from sparcode.config import RunConfig, TrainingConfig

BASE = RunConfig.for_data(True)
BY_KEY = {setting.key: setting for setting in SETTINGS}
NUMBERS = [setting for setting in SETTINGS if not setting.choices]


def values_of(setting: Setting) -> list[Any]:
    """Every allowed value of a setting; of a number both ends."""
    if setting.choices:
        return [setting.read(text) for text in setting.choices]
    kind = int if setting.number_format == "%d" else float
    return [kind(bound) for bound in setting.bounds]


def changed(base: RunConfig, setting: Setting, value: Any) -> RunConfig:
    """The settings with one value; D splits for every M."""
    return with_values(base, {DIMENSIONS: 16, BY_KEY["m"]: "1", setting: value})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_row_explains_itself_and_has_a_key_of_its_own_and_an_allowed_default(setting: Setting) -> None:
    assert setting.help
    assert setting.is_allowed(setting.default(BASE))
    assert BY_KEY[setting.key] is setting
    assert len(setting.choices) == len(set(setting.choices))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_value_survives_the_address_and_makes_valid_settings(setting: Setting) -> None:
    for value in values_of(setting):
        assert setting.read(setting.write(value)) == value
        if setting.in_run:
            assert str(setting.value_in(changed(BASE, setting, value))) == str(value)


@pytest.mark.parametrize("setting", [setting for setting in NUMBERS if setting.in_run], ids=lambda setting: setting.key)
def test_just_outside_its_bounds_a_number_is_refused_by_the_settings_as_well(setting: Setting) -> None:
    lowest, highest = setting.bounds
    for value in (lowest - setting.step, highest + setting.step) if highest < 2**31 - 1 else (lowest - setting.step,):
        assert not setting.is_allowed(value)
        with pytest.raises(ValidationError):
            with_values(BASE, {setting: value})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        *(("m", text) for text in ("3", "", "2.0", " 2")),
        *(("keep", text) for text in ("0", "999")),
        *(("mb", text) for text in ("0", "1e9", "nan", "inf", "x")),
        *(("t_dim", text) for text in ("3", "513", "1e2", "")),
        *(("t_ema", text) for text in ("1", "0.49")),
        *(("t_two_tower", text) for text in ("maybe", "1", "")),
        *(("t_data", text) for text in ("zzz", "")),
    ],
)
def test_a_text_that_is_no_value_is_refused(key: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"is not possible|invalid literal|could not convert"):
        BY_KEY[key].read(text)


def test_bounds_and_options_are_those_of_the_settings_file() -> None:
    bounds = {key: BY_KEY[key].bounds for key in ("t_epochs", "t_ema", "t_rate", "t_seed")}
    assert bounds == {"t_epochs": (1, 1000), "t_ema": (0.5, 0.999), "t_rate": (0.0001, 1), "t_seed": (0, 2**31 - 1)}
    assert BY_KEY["t_encoder"].choices == BY_KEY["encoder"].choices == ("mean", "gru", "sasrec")
    assert float(KEPT.start) == 100 * TrainingConfig().density
    assert BY_KEY["t_dim"].default(BASE) == BASE.model.token_dim
    assert BY_KEY["k"].default(BASE) == str(RunConfig().quantizer.codebook_size)


@pytest.mark.parametrize(
    ("wanted", "n_codebooks", "fitting"), [(16, 4, 16), (18, 4, 20), (17, 4, 16), (4, 8, 8), (512, 3, 510), (511, 2, 512)]
)
def test_dimensions_are_corrected_to_the_nearest_that_splits_evenly(wanted: int, n_codebooks: int, fitting: int) -> None:
    assert split_evenly(wanted, n_codebooks) == fitting


def test_settings_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of n_codebooks"):
        with_values(BASE, {DIMENSIONS: 18, BY_KEY["m"]: "4"})


def test_runs_that_differ_in_any_setting_read_differently() -> None:
    ema = with_values(BASE, {BY_KEY["t_update"]: "ema"})
    for setting in settings_of(TRAIN):
        if setting.in_run:
            texts = {settings_text(changed(ema, setting, value)) for value in values_of(setting)}
            assert len(texts) == len(values_of(setting)), setting.key
    assert settings_text(BASE).startswith("mean, mlp, T=4, D=16, M=1, K=256, codewords by gradient, β=0,")


def test_text_of_strangers_means_nothing_in_markdown() -> None:
    assert plain_text("[a](b) *c* _d_ `e` <f> $g$\n# h") == "?a?(b) ?c? ?d? ?e? ?f? ?g??? h"
    assert plain_text("ratings 1,5-2.csv") == "ratings 1,5-2.csv"
    assert len(plain_text("x" * 999)) == 60


def test_the_decay_has_an_effect_where_codewords_follow_it_and_the_rest_always() -> None:
    assert [setting.key for setting in SETTINGS if not has_effect(setting, {"t_update": "gradient"})] == ["t_ema"]
    assert all(has_effect(setting, {"t_update": "ema"}) for setting in SETTINGS)


def test_the_codes_of_a_run_are_its_own_also_where_they_are_not_offered() -> None:
    base = with_values(BASE, {BY_KEY["k"]: "48"})
    assert BY_KEY["k"].default(base) == "48"
    assert not BY_KEY["k"].is_allowed("48")
