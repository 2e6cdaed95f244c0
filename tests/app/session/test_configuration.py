from __future__ import annotations

import pytest

from app.session.configuration import SETTINGS, Configuration, label_of
from sparcode.config import ModelConfig, QuantizerConfig, RunConfig
from tests.tiny import CONFIG

OTHER = Configuration(m="1", k="8", t="2", interaction="dot", encoder="gru", seed="3", keep="50")


def test_the_defaults_are_those_of_the_settings_file() -> None:
    config = Configuration().run_config(RunConfig())
    assert config == RunConfig()
    assert Configuration._fields == tuple(setting.key for setting in SETTINGS)


def test_what_a_visitor_does_not_choose_stays_the_studios_own() -> None:
    config = OTHER.run_config(CONFIG)
    assert config.quantizer == QuantizerConfig(n_codebooks=1, codebook_size=8)
    chosen = {"n_tokens": 2, "interaction": "dot", "encoder": "gru"}
    assert config.model == ModelConfig(**CONFIG.model.model_dump() | chosen)
    assert config.training.model_dump() == CONFIG.training.model_dump() | {"seed": 3}
    assert (config.split, config.index) == (CONFIG.split, CONFIG.index)


def test_a_choice_survives_its_text() -> None:
    assert Configuration.from_text(OTHER.text) == OTHER
    assert Configuration.from_text(Configuration().text) == Configuration()


NO_RUNS = [("", "7 values, got 1"), (OTHER.text + "_1", "got 8"), (OTHER.text.replace("gru", "x"), "encoder x")]


@pytest.mark.parametrize(("text", "says"), NO_RUNS)
def test_text_that_names_no_run_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Configuration.from_text(text)


def test_labels_name_the_codes_and_what_is_not_the_default() -> None:
    assert Configuration().label == "M=2 K=128"
    assert OTHER.label == "M=1 K=8 T=2 dot gru seed 3"
    assert label_of(OTHER.run_config(CONFIG)) == OTHER.label


def test_a_difference_names_what_changed() -> None:
    assert OTHER.difference(OTHER) == ""
    assert OTHER._replace(k="16", seed="0").difference(OTHER) == "K 8 → 16, seed 3 → 0"
