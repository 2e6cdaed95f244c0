from __future__ import annotations

import pytest

from app.session.configuration import CHOSEN, Configuration, label_of
from sparcode.config import RunConfig
from tests.tiny import CONFIG

OTHER = Configuration(m="1", k="8", p="4", t="2", interaction="dot", encoder="gru", seed="3", keep="50")


def test_the_defaults_are_those_of_the_settings_file() -> None:
    assert Configuration().run_config(RunConfig()) == RunConfig()
    assert (
        Configuration._fields == tuple(setting.key for setting in CHOSEN) == ("m", "k", "p", "t", "interaction", "encoder", "seed", "keep")
    )


def test_what_a_visitor_does_not_choose_stays_the_studios_own() -> None:
    chosen = {
        "model": {"n_tokens": 2, "interaction": "dot", "encoder": "gru"},
        "quantizer": {"n_codebooks": 1, "codebook_size": 8, "n_nearest": 4},
        "training": {"seed": 3},
    }
    expected = CONFIG.model_dump()
    for stage, values in chosen.items():
        expected[stage] |= values
    assert OTHER.run_config(CONFIG) == RunConfig.model_validate(expected)


def test_a_choice_survives_its_text_which_names_the_settings() -> None:
    assert OTHER.text == "m-1_k-8_p-4_t-2_interaction-dot_encoder-gru_seed-3_keep-50"
    assert Configuration.from_text(OTHER.text) == OTHER
    assert Configuration.from_text(Configuration().text) == Configuration()


def test_a_text_may_name_some_settings_in_any_order() -> None:
    assert Configuration.from_text("keep-50_k-8") == Configuration(k="8", keep="50")


def test_pins_of_old_links_which_count_positions_are_still_read() -> None:
    assert Configuration.from_text("1_8_2_dot_gru_3_50") == OTHER._replace(p=Configuration().p)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a setting has no name"),
        ("2_128", "no setting 2"),
        ("m-9", "m 9 is not possible"),
        ("k-8_colour-red", "no setting colour"),
        ("t_encoder-gru", "t  is not possible"),
        ("2_128_4_mlp_mean_0_77", "keep 77 is not possible"),
        (OTHER.text.replace("gru", "x"), "encoder x"),
    ],
)
def test_text_that_names_no_run_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Configuration.from_text(text)


def test_labels_name_the_codes_and_what_is_not_the_default() -> None:
    assert Configuration().label == "M=1 K=256"
    assert OTHER.label == "M=1 K=8 P=4 T=2 dot gru seed 3"
    assert label_of(OTHER.run_config(CONFIG)) == OTHER.label


def test_a_difference_names_what_changed() -> None:
    assert OTHER.difference(OTHER) == ""
    assert OTHER._replace(k="16", seed="0", keep="20").difference(OTHER) == "K 8 → 16, seed 3 → 0, kept % 50 → 20"
