from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.session import address
from app.session.configuration import Configuration
from app.session.settings import EXPLORER, KEPT, TRAIN, settings_of
from sparcode.config import RunConfig
from tests.pages.opened_pages import control

BASE = RunConfig.for_data(True)


def explorer() -> None:
    import streamlit as st

    from app.session.address import read_address, write_address
    from app.session.settings import BUDGET, EXPLORER
    from app.session.widgets import configuration, widget
    from sparcode.config import RunConfig

    for text in read_address(EXPLORER, RunConfig()):
        st.warning(text)
    configuration()
    write_address(EXPLORER, RunConfig())
    widget(BUDGET)


def train() -> None:
    import streamlit as st

    from app.session.address import read_address, write_address
    from app.session.settings import TRAIN, settings_of
    from app.session.widgets import widget
    from sparcode.config import RunConfig

    for text in read_address(TRAIN, RunConfig.for_data(True)):
        st.warning(text)
    for setting in settings_of(TRAIN):
        widget(setting)
    write_address(TRAIN, RunConfig.for_data(True))


def opened(page: object, **asked: str | list[str]) -> AppTest:
    app = AppTest.from_function(page, default_timeout=30)
    for name, value in asked.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def values(app: AppTest, page: str) -> dict[str, object]:
    return {setting.key: app.session_state[setting.key] for setting in settings_of(page)}


PAGES = [(explorer, EXPLORER, RunConfig()), (train, TRAIN, BASE)]


@pytest.mark.parametrize(("page", "name", "base"), PAGES, ids=[EXPLORER, TRAIN])
def test_without_an_address_everything_has_its_default_and_the_address_stays_empty(page: object, name: str, base: RunConfig) -> None:
    app = opened(page)
    assert values(app, name) == {setting.key: setting.default(base) for setting in settings_of(name)}
    assert not app.warning
    assert not app.query_params


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        (explorer, {"m": "4", "k": "16", "t": "8", "interaction": "cross", "encoder": "gru", "seed": "3", "keep": "0.1", "mb": "0.5"}),
        (explorer, {"pin": Configuration(m="2", interaction="dot").text}),
        (train, {"t_encoder": "gru", "t_dim": "20", "t_rate": "0.005", "t_data": "small", "t_data_seed": "7", "t_two_tower": "false"}),
    ],
)
def test_a_link_opens_with_its_values_and_keeps_them(page: object, asked: dict[str, str]) -> None:
    app = opened(page, **asked)
    assert not app.warning
    assert app.query_params == asked
    for key, text in asked.items():
        assert str(getattr(app.session_state[key], "text", app.session_state[key])).lower() == text


@pytest.mark.parametrize(
    ("page", "key", "value", "says"),
    [
        (explorer, "m", "3", "m = 3, which is not possible for Number of codebooks M; 1 is used. Allowed: 1, 2, 4."),
        (explorer, "m", "", "m = nothing,"),
        (explorer, "m", ["4", "2"], "m = 4 and 2,"),
        (explorer, "k", "1e2", "k = 1e2,"),
        (explorer, "keep", "999", "Allowed: stops from 50 to 0.1, see the slider."),
        (explorer, "seed", "-1", "seed = -1,"),
        (explorer, "mb", "0.0001", "2 is used. Allowed: 0.01 to 10,000."),
        (explorer, "k", " ", "k = nothing, which is not possible"),
        (train, "t_encoder", "bert", "t_encoder = bert, which is not possible for Encoder; mean is used. Allowed: mean, gru, sasrec."),
        (train, "t_dim", "3", "16 is used. Allowed: 4 to 512."),
        (train, "t_seed", "<b>[x](y)", "t_seed = ?b??x?(y),"),
        (train, "t_data_seed", "2147483648", "Allowed: 0 to 2,147,483,647."),
        (train, "t_two_tower", "maybe", "true is used. Allowed: true, false."),
    ],
)
def test_a_value_that_is_not_allowed_is_named_and_replaced(page: object, key: str, value: str | list[str], says: str) -> None:
    app = opened(page, **{key: value})
    (warning,) = app.warning
    assert says in warning.value
    name, base = (EXPLORER, RunConfig()) if page is explorer else (TRAIN, BASE)
    assert values(app, name) == {setting.key: setting.default(base) for setting in settings_of(name)}
    assert not app.query_params


def test_one_bad_value_leaves_the_good_ones() -> None:
    app = opened(explorer, m="9", k="32")
    assert (app.session_state["m"], app.session_state["k"]) == ("1", "32")
    assert len(app.warning) == 1


@pytest.mark.parametrize(("pin", "why"), [("m-2_colour-red", "there is no setting colour"), ("", "a setting has no name")])
def test_a_pinned_run_that_is_not_possible_is_named_and_none_is_pinned(pin: str, why: str) -> None:
    app = opened(explorer, pin=pin)
    assert f"none is pinned: {why}." in app.warning[0].value
    assert app.session_state["pin"] is None
    assert not app.query_params


def test_the_note_stays_until_a_setting_is_changed() -> None:
    app = opened(explorer, m="9").run()
    assert app.warning
    control(app.select_slider, "k").set_value("64").run()
    assert not app.warning
    assert app.query_params == {"k": "64"}


def test_what_others_put_into_the_address_stays() -> None:
    app = opened(explorer, run="7", k="8")
    control(app.select_slider, "k").set_value("256").run()
    assert app.query_params == {"run": "7"}


def test_the_address_follows_the_session_although_the_browser_reports_an_older_one() -> None:
    app = opened(explorer)
    control(app.select_slider, "m").set_value("4").run()
    # A press on K: the browser sends it before the address with M has reached it.
    app.query_params.clear()
    control(app.select_slider, "k").set_value("8").run()
    assert app.query_params == {"m": "4", "k": "8"}


def test_a_value_that_the_page_sets_has_a_new_widget_and_moves_none() -> None:
    app = opened(explorer, m="4")
    before = control(app.select_slider, "m").key
    app.session_state["m"] = "1"
    app.run()
    after = control(app.select_slider, "m")
    assert (after.value, after.key == before) == ("1", False)
    after.set_value("2").run()
    assert control(app.select_slider, "m").key == after.key
    app.session_state["m"] = "2"
    app.run()
    last = control(app.select_slider, "m")
    assert (last.key, last.proto.set_value, app.session_state["m"]) == (after.key, False, "2")


def test_a_number_outside_its_bounds_is_answered_with_what_is_allowed() -> None:
    app = opened(explorer, mb="0.5")
    control(app.number_input, "mb").set_value(0.0001).run()
    assert ":red[Budget (MB): allowed is 0.01 to 10,000.]" in [text.value for text in app.markdown]
    assert not app.query_params
    control(app.number_input, "mb").set_value(3.0).run()
    assert not app.markdown
    assert app.query_params == {"mb": "3"}


def test_back_and_forward_take_everything_from_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened(explorer, k="64", m="2", pin="k-8")
    monkeypatch.setattr(address, "went_back_or_forward", lambda: True)
    app.query_params.clear()
    app.query_params["k"] = "16"
    app.run()
    assert (app.session_state["k"], app.session_state["m"], app.session_state["pin"]) == ("16", "1", None)
    assert app.query_params == {"k": "16"}


def test_keys_of_the_threshold_and_the_codes_are_on_both_pages_that_measure() -> None:
    assert {setting.key for setting in settings_of(EXPLORER)} - {setting.key for setting in settings_of("compare")} == {"mb"}
    assert {"m", "k"} == {setting.key for setting in settings_of(TRAIN)} & {setting.key for setting in settings_of(EXPLORER)}
    assert KEPT in settings_of("compare")
