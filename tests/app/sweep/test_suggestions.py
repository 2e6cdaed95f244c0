from __future__ import annotations

import pytest

from app.session.loaders import run_config
from app.sweep.suggestions import FIRST, USUAL, settings_that_vary, suggested
from sparcode.sweep.space import parse_space
from tests.tiny import CONFIG


def test_the_usual_settings_come_first_and_none_of_the_split_is_offered() -> None:
    names = settings_that_vary()
    assert names[: len(FIRST)] == FIRST
    assert set(USUAL) <= set(names)
    assert len(set(names)) == len(names)
    assert not [name for name in names if name.startswith("split.")]


@pytest.mark.parametrize("synthetic", [True, False])
def test_every_suggestion_is_read_and_has_the_value_of_now_between_its_ends(synthetic: bool) -> None:
    config = run_config(synthetic)
    for name in settings_that_vary():
        (dimension,) = parse_space([f"{name}={suggested(name, config)}"]).dimensions
        stage, field = name.split(".")
        now = getattr(getattr(config, stage), field)
        if dimension.kind == "choices":
            assert now in dimension.values or field == "n_negatives", name
            assert len(dimension.values) > 1, name
        else:
            assert dimension.low <= now <= dimension.high, name


def test_suggestions_are_around_the_settings_of_now() -> None:
    assert suggested("quantizer.codebook_size", CONFIG) == "3,6,12"
    assert suggested("training.dropout", CONFIG) == "0.025..0.4 log"
    assert suggested("model.interaction", CONFIG) == "dot,mlp,cross,attention"
