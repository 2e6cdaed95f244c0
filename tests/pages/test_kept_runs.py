from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.kept.trials import keep_trial
from app.measured.query_story import TOP
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from app.session import loaders
from sparcode.config import SweepConfig
from sparcode.sweep.folder import create
from sparcode.sweep.run import run_sweep
from sparcode.sweep.space import parse_space
from sparcode.sweep.trial import run_trial
from tests.app import open_studio
from tests.fakes import PATIENCE
from tests.pages.opened_pages import ENTRY, click, control, figures, labels, markdown, setting_keys, studio, tiles, visited
from tests.sweep.planted import Inline
from tests.tiny import CONFIG, tiny_data

pytestmark = pytest.mark.usefixtures("tiny_app")

SMALL = {"m": "2", "k": "8", "t_epochs": "2", "t_joint": "1", "t_seed": "5", "t_two_tower": "false"}


def trained(name: str = "mine") -> AppTest:
    """The Train page after a run, with a name for it."""
    app = click(visited("train.py", **SMALL), "Start training")
    open_studio.ended(studio(), studio().from_scratch.view(app.session_state["owner"]).job.key)
    app.run()
    assert not app.exception
    (field,) = app.text_input
    return field.set_value(name).run()


def kept(name: str = "mine") -> None:
    assert loaders.opened().kept.names == ()
    click(trained(name), "Keep it")
    assert loaders.opened().kept.names == (name,)


def explored(name: str, **address: str) -> AppTest:
    """The Explorer on a kept run, once nothing of it goes on."""
    return at_rest(visited("index_explorer.py", data=f"run.{name}", **address), "explorer_live")


def at_rest(app: AppTest, live: str) -> AppTest:
    """A page on a kept run, once it does not look again by itself."""
    for _ in range(50):
        opened = loaders.opened()
        for key in opened.first.at_work():
            opened.first.jobs.wait(key, lambda job: False, PATIENCE)
        app.run()
        assert not app.exception
        if not app.session_state[live]:
            return app
    raise AssertionError("the page does not come to rest")


def overview(**address: str) -> AppTest:
    """The start page, opened first in its session."""
    app = AppTest.from_file(ENTRY, default_timeout=PATIENCE)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def picker(app: AppTest) -> object:
    (found,) = [box for box in app.selectbox if str(box.key).startswith("data_picker")]
    return found


def test_a_run_is_kept_by_its_name_and_opened_from_its_link_with_the_same_figures_after_a_restart() -> None:
    kept()
    app = explored("mine")
    assert picker(app).value == "run.mine"
    # Only M, K and P can be chosen anew, and the address need not say the run's own.
    assert {"m", "k", "p"} == set(setting_keys(app.select_slider))
    assert app.query_params["data"] in ("run.mine", ["run.mine"])
    assert set(app.query_params) == {"data"}
    assert any("Run: **mine**" in text.value for text in app.caption)
    before = {name: tile["value"] for name, tile in tiles(app).items() if name not in ("p50_ms", "p95_ms", "parts")}
    assert tiles(app)["recall"]["kind"] == "trained from scratch"
    loaders.close_studio()
    again = explored("mine")
    assert {name: tile["value"] for name, tile in tiles(again).items() if name not in ("p50_ms", "p95_ms", "parts")} == before


def test_a_run_of_a_visitors_own_file_is_kept_only_after_a_tick(tiny_table: Path) -> None:
    app = overview(data="upload")
    app.file_uploader[0].upload("mine.csv", tiny_table.read_bytes(), "text/csv").run()
    app.switch_page("../pages/train.py")
    for name, value in SMALL.items():
        app.query_params[name] = value
    app = click(app.run(), "Start training")
    open_studio.ended(loaders.opened().first, loaders.opened().first.from_scratch.view(app.session_state["owner"]).job.key)
    app.run()
    assert any("trained on **your file**" in text.value for text in app.warning)
    keeping = {
        button.label: button
        for button in app.button
        if button.label in ("Explore this run", "Inside a query", "Compare", "Scale", "Keep it")
    }
    assert [button.disabled for button in keeping.values()] == [True] * 5
    (tick,) = [box for box in app.checkbox if str(box.key).startswith("keep-public/")]
    app = tick.check().run()
    click(app, "Keep it")
    assert len(loaders.opened().kept.names) == 1


def test_no_widget_is_named_by_the_owner_whose_cookie_scripts_must_not_see() -> None:
    app = trained()
    owner = app.session_state["owner"]
    assert app.text_input[0].key.startswith("keep-name/")
    widgets = [*app.text_input, *app.button, *app.selectbox, *app.checkbox, *app.number_input, *app.slider, *app.select_slider]
    assert not [widget.key for widget in widgets if owner in str(widget.key) or owner in widget.id]


def test_other_codes_of_a_kept_run_come_from_its_backbone() -> None:
    kept()
    app = explored("mine", k="16")
    assert app.query_params["k"] in ("16", ["16"])
    assert tiles(app)["recall"]["kind"] == "fine-tuned"
    assert not [key for key in studio().jobs.running() if "backbone" in key]


def test_the_choice_goes_with_the_session_from_page_to_page() -> None:
    kept()
    app = overview(data="run.mine")
    assert "The run **mine**" in markdown(app)
    for file in ("compare.py", "scale.py", "query.py", "train.py", "index_explorer.py"):
        app.switch_page(f"../pages/{file}").run()
        assert not app.exception
        assert picker(app).value == "run.mine"
        assert app.query_params["data"] in ("run.mine", ["run.mine"])
    picker(app).set_value("").run()
    assert "data" not in app.query_params
    assert len(setting_keys(app.select_slider)) == 4


def test_a_query_is_followed_through_the_kept_run() -> None:
    kept()
    app = at_rest(visited("query.py", data="run.mine"), "query_live")
    assert "The 3 strongest of this query's" in markdown(app)
    of_run = loaders.opened().of_run("mine")
    measured, query = of_run.indexes.all()[-1], of_run.split.test.queries.take(np.array([0]))
    stop = KEPT_PERCENTS.index(DEFAULT_PERCENT)
    found = measured.explorer.retriever_at(float(measured.stops[stop])).retrieve(query, TOP).item_ids[0]
    titles = [f"**item {of_run.interactions.item_ids[item]}**" for item in found.tolist()]
    assert all(title in cell for title, cell in zip(titles, app.table[0].value["SparCode"], strict=True))


def test_the_train_page_offers_the_data_of_the_kept_run_and_shows_how_it_was_trained() -> None:
    kept()
    app = visited("train.py", data="run.mine")
    assert "3 epochs in" in markdown(app)
    assert "Recall@50" in figures(app)
    assert [label for label in labels(app) if label != "Add to report"][-2:] == ["Start training", "Train one epoch"]
    assert control(app.select_slider, "k").value == "8"


def test_a_name_that_is_not_possible_or_taken_says_so_and_keeps_nothing() -> None:
    app = click(trained("../x"), "Keep it")
    assert "a run's name has small letters" in app.text[0].value
    assert loaders.opened().kept.names == ()
    app.text_input[0].set_value("mine").run()
    app = click(app, "Keep it")
    assert any("Kept as **mine**" in text.value for text in app.caption)
    app = click(trained("mine"), "Keep it")
    assert "there is a run 'mine' already" in app.text[0].value


def test_a_link_to_a_run_that_is_not_there_shows_the_studios_data_and_says_so() -> None:
    app = overview(data="run.<b>gone</b>")
    assert "There is no kept run or data set ?b?gone??b? (any more)" in app.warning[0].value
    assert picker(app).value == ""
    assert "data" not in app.query_params
    assert not overview().warning


def test_a_deleted_run_leaves_every_page() -> None:
    kept()
    app = overview(data="run.mine")
    (delete,) = [button for button in app.button if button.label == "Delete this run for everybody"]
    assert delete.disabled
    app.checkbox(key="delete-sure/mine").check().run()
    assert loaders.opened().kept.names == ("mine",)
    app = click(app, "Delete this run for everybody")
    assert loaders.opened().kept.names == ()
    assert "Run: mine" not in picker(app).options
    assert not app.exception


def test_a_run_that_cannot_be_deleted_says_why_without_the_servers_folders(tmp_path: Path) -> None:
    kept()
    app = overview(data="run.mine")
    app.checkbox(key="delete-sure/mine").check().run()
    (tmp_path / "runs" / "mine").rename(tmp_path / "elsewhere")
    (tmp_path / "runs" / "mine").symlink_to(tmp_path / "elsewhere")
    app = click(app, "Delete this run for everybody")
    assert app.error[0].value == "The run is not deleted."
    assert app.text[0].value.startswith("mine is a symbolic link to elsewhere")
    assert picker(app).value == "run.mine"


def test_a_damaged_run_says_so_and_the_way_back(tmp_path: Path) -> None:
    kept()
    (tmp_path / "runs" / "mine" / "histories.safetensors").write_bytes(b"damaged")
    app = overview(data="run.mine")
    assert "**Run: mine** cannot be opened" in app.error[0].value
    assert "histories.safetensors is damaged" in app.text[0].value
    app = click(app, "Go on with the data that the studio was started with")
    assert not app.error


def test_where_runs_are_turned_off_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARCODE_RUNS", "off")
    app = click(visited("train.py", **SMALL), "Start training")
    open_studio.ended(studio(), studio().from_scratch.view(app.session_state["owner"]).job.key)
    app.run()
    assert any("keeps no runs" in text.value for text in app.caption)
    assert not app.text_input


def test_a_run_with_codes_that_the_pages_do_not_offer_is_shown_with_its_own() -> None:
    run = keep_trial_of("quantizer.codebook_size=5")
    app = explored(run)
    assert control(app.select_slider, "k").value == "5"
    assert control(app.select_slider, "k").options[:2] == ["5", "8"]
    assert tiles(app)["recall"]["kind"] == "trained from scratch"
    assert set(app.query_params) == {"data"}
    app = control(app.select_slider, "k").set_value("8").run()
    assert app.query_params["k"] in ("8", ["8"])


def keep_trial_of(varied: str) -> str:
    """A trial of a sweep over one setting, kept as a run of the studio."""
    opened = loaders.opened()
    sweeps = opened.sweeps.sweeps
    place = sweeps.place("small")
    create(place, tiny_data(), CONFIG, parse_space([varied]), SweepConfig(trials=1))
    assert run_sweep(place, Inline(run_trial)) == "complete"
    return keep_trial(opened.kept, "small", sweeps.load("small"), 0)
