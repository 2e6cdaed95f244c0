from __future__ import annotations

import pytest
from pydantic import ValidationError

from sparcode.config import RunConfig
from sparcode.config_message import validation_message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantizer": {"codebook_size": 1}}, "codebook_size=1: must be at least 2"),
        ({"training": {"learning_rate": 0}}, "learning_rate=0: must be above 0.0"),
        ({"training": {"dropout": 1}}, "dropout=1: must be below 1.0"),
        ({"model": {"n_tokens": 17}}, "n_tokens=17: must be at most 16"),
        ({"model": {"n_tokens": "many"}}, "n_tokens=many: must be a whole number"),
        ({"model": {"link": "log"}}, "link=log: must be 'exp' or 'linear'"),
        ({"model": 3}, "model=3: must be an object of settings"),
        ({"training": {"density": float("inf")}}, "density=inf: must be a finite number"),
        ({"quantiser": {}}, "quantiser: there is no such setting"),
        ({"model": {"token_dim": 16}, "quantizer": {"n_codebooks": 3}}, "token_dim=16 must be a multiple of n_codebooks=3"),
        ({"model": {"n_tokens": 0}, "index": {"block_codes": 0}}, "n_tokens=0: must be at least 1; block_codes=0: must be at least 1"),
    ],
)
def test_every_complaint_names_the_setting_and_the_rule(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate(settings)
    assert validation_message(caught.value) == message


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ValidationError) as caught:
        RunConfig.model_validate({"model": {"n_tokens": "9" * 5000}})
    assert len(validation_message(caught.value)) < 200
