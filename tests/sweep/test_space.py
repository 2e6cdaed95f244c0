from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.config import RunConfig
from sparcode.sweep.space import Choices, Range, Space, config_of, parse_space
from tests.tiny import CONFIG


def test_texts_become_values_of_the_settings_types() -> None:
    space = parse_space(["quantizer.codebook_size=64, 128,64", "encoder=mean,gru", "learning_rate=0.001..0.1 log 3", "n_nearest=1..8"])
    assert space.dimensions == (
        Choices(setting="quantizer.codebook_size", values=(64, 128)),
        Choices(setting="model.encoder", values=("mean", "gru")),
        Range(setting="training.learning_rate", low=0.001, high=0.1, log=True, n_points=3),
        Range(setting="quantizer.n_nearest", low=1, high=8),
    )
    assert space.n_settings == float("inf")
    assert space.dimensions[2].grid_values == (0.001, 0.01, 0.1)
    assert parse_space(["seed=0,1,2"]).settings == ("training.seed",)


def test_a_space_survives_json_and_its_own_text() -> None:
    space = parse_space(["codebook_size=64,128", "learning_rate=0.001..0.1 log", "n_nearest=1..8 3", "kind=product,residual"])
    assert Space.model_validate_json(space.model_dump_json()) == space
    assert parse_space([dimension.text for dimension in space.dimensions]) == space


@given(st.integers(1, 128), st.integers(1, 128), st.integers(2, 9), st.booleans())
def test_points_of_a_range_ascend_from_end_to_end(low: int, high: int, n_points: int, log: bool) -> None:
    if low >= high:
        return
    values = Range(setting="quantizer.n_nearest", low=low, high=high, log=log, n_points=n_points).grid_values
    assert list(values) == sorted(set(values))
    assert (values[0], values[-1]) == (low, high)
    assert all(isinstance(value, int) for value in values)


def test_a_grid_goes_through_the_last_setting_first() -> None:
    grid = parse_space(["n_tokens=2,4", "codebook_size=8,16"]).grid()
    assert [tuple(setting.values()) for setting in grid] == [(2, 8), (2, 16), (4, 8), (4, 16)]


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        ([], ["nothing varies"]),
        (["codebook_size"], ["--vary 'codebook_size'", "FIELD=VALUE"]),
        (["=3"], ["FIELD=VALUE"]),
        (["codebooks=3"], ["codebooks", "no such setting", "quantizer"]),
        (["model.codebook_size=3"], ["model.codebook_size", "no such setting"]),
        (["split.seed=1,2"], ["split.seed cannot vary"]),
        (["target_share=0.1,0.2"], ["target_share cannot vary"]),
        (["codebook_size=1,2"], ["codebook_size=1", "at least 2"]),
        (["codebook_size=4..99999"], ["codebook_size=99999", "at most 16384"]),
        (["codebook_size=4,x"], ["codebook_size=x", "whole number"]),
        (["codebook_size=4,,8"], ["codebook_size=", "whole number"]),
        (["encoder=mean,lstm"], ["encoder=lstm", "'mean', 'gru' or 'sasrec'"]),
        (["encoder=gru..mean"], ["model.encoder takes no range", "mean, gru, sasrec"]),
        (["density=0.5..0.1"], ["0.5..0.1", "the first must be below"]),
        (["density=nan..0.1"], ["density", "finite"]),
        (["dropout=0..0.5 log"], ["0.0..0.5 log", "above 0"]),
        (["density=0.1..0.5 1"], ["n_points=1", "at least 2"]),
        (["density=0.1,0.2", "training.density=0.3"], ["training.density varies twice"]),
    ],
)
def test_bad_texts_are_refused_in_words(texts: list[str], parts: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the parts are checked below
        parse_space(texts)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_a_grid_needs_points() -> None:
    with pytest.raises(ValueError, match=r"a grid needs values or a number of points: training.density=0.1..0.5 5 has five"):
        parse_space(["density=0.1..0.5"]).grid()


def test_a_grid_that_no_memory_holds_is_refused_before_it_is_made() -> None:
    texts = [f"{name}=0.001..0.002 1000" for name in ("learning_rate", "joint_learning_rate", "density", "dropout")]
    space = parse_space([*texts, "n_nearest=1..128 128"])
    with pytest.raises(ValueError, match=r"a grid of 128,000,000,000,000 settings is too large, at most 100,000"):
        space.grid()
    assert parse_space(texts[:1]).n_grid == len(parse_space(texts[:1]).grid()) == 1000


def test_settings_of_a_trial_are_the_base_with_others_in_place() -> None:
    config = config_of(CONFIG, {"quantizer.codebook_size": 4, "training.density": 0.2})
    assert (config.quantizer.codebook_size, config.training.density, config.model) == (4, 0.2, CONFIG.model)
    with pytest.raises(ValueError, match="token_dim=8 must be a multiple of n_codebooks=3"):
        config_of(CONFIG, {"quantizer.n_codebooks": 3})


def test_settings_that_say_the_same_are_the_same() -> None:
    base = RunConfig()
    idle = [config_of(base, {"model.encoder": "mean", "model.max_history": length}) for length in (20, 50)]
    assert idle[0] == idle[1] == base
    acting = [config_of(base, {"model.encoder": "gru", "model.max_history": length}) for length in (20, 50)]
    assert acting[0] != acting[1]
