"""The page Compare runs: what it says of kept, recorded and other runs, and of addresses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.session import loaders
from sparcode.config import RunConfig
from tests.app.kept.saved_runs import save
from tests.fakes import PATIENCE
from tests.pages.opened_pages import charts, click, labels, markdown, mounted, tiles, visited
from tests.tiny import changed, tiny_data
from tests.tiny_recording import tiny_recording

pytestmark = pytest.mark.usefixtures("tiny_app")

SEED_1, SEED_2 = (changed(training={"seed": seed}) for seed in (1, 2))
OTHER_SPLIT: RunConfig = SEED_1.model_copy(update={"split": SEED_1.split.model_copy(update={"seed": 5})})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs, of which two differ in the seed alone, and one of another split; with their data beside them."""
    runs = tmp_path / "runs"
    for name, config in (("one", SEED_1), ("two", SEED_2), ("three", changed(quantizer={"codebook_size": 4})), ("four", OTHER_SPLIT)):
        save(runs / name, config, with_data=True)
    return runs


def at_rest(**address: str) -> AppTest:
    """The page once all of its runs are measured."""
    app = visited("runs.py", **address)
    opened = loaders.opened()
    for _ in range(20):
        for key in opened.first.jobs.running():
            opened.first.jobs.wait(key, lambda job: False, PATIENCE)
        app.run()
        assert not app.exception
        if "runs_live" not in app.session_state or not app.session_state["runs_live"]:
            return app
    raise AssertionError("the page does not come to rest")


def heading(app: AppTest) -> str:
    return next(text.value for text in app.markdown if text.value.startswith("#### "))


def table(app: AppTest, column: str) -> dict[str, list]:
    (found,) = [frame.value for frame in app.dataframe if frame.value.columns[0] == column]
    return found.to_dict("list")


def test_two_runs_of_the_same_users_are_compared_one_by_one(folder: Path) -> None:
    app = at_rest(runs="one,three", a="one", b="three")
    first, second = (loaders.opened().runs.figures(name) for name in ("one", "three"))
    won = int((second.recall_by_user > first.recall_by_user).sum())
    lost = int((second.recall_by_user < first.recall_by_user).sum())
    assert f"{won} users won, {lost} lost, p = " in heading(app)
    assert tiles(app)["runs-users"]["value"] == f"{won} : {lost}"
    assert tiles(app)["runs-recall"]["value"] == f"{second.own_recall:.3f}"
    assert set(charts(app)) == {
        "Recall against index size, run by run",
        "Recall against latency, run by run",
        "Every test user, from the largest loss to the largest gain",
    }
    settings = table(app, "setting")
    assert settings["setting"] == ["quantizer.codebook_size", "training.seed"]
    assert (settings["one"], settings["three"]) == (["6", "1"], ["4", "0"])


def test_runs_that_differ_in_the_seed_alone_are_one_row_with_their_spread(folder: Path) -> None:
    figures = table(at_rest(runs="one,two,three"), "run")
    assert figures["run"] == ["one, two", "three"]
    assert figures["n"] == [2, 1]
    recalls = [loaders.opened().runs.figures(name).own_recall for name in ("one", "two")]
    assert figures["Recall@50"][0] == pytest.approx(sum(recalls) / 2)
    assert figures["± Recall@50"][0] == pytest.approx(abs(recalls[0] - recalls[1]) / 2**0.5)


def test_runs_of_other_test_users_are_not_compared_one_by_one(folder: Path) -> None:
    app = at_rest(runs="one,four")
    assert "tested on different users" in heading(app)
    assert "their data is split in another way" in heading(app)
    assert "runs-users" not in tiles(app)
    assert len(charts(app)) == 2


def test_a_first_visit_with_runs_shows_the_latest_and_the_address_needs_no_names(folder: Path) -> None:
    app = at_rest()
    assert sorted(app.multiselect[0].value) == ["four", "one", "three", "two"]
    assert not {"runs", "a", "b"} & set(app.query_params)
    assert "Train a run" not in json.dumps([link.proto.label for link in app.get("page_link")])


def test_a_choice_goes_to_the_address_and_the_pair_changes_places(folder: Path) -> None:
    app = at_rest(runs="one,three")
    app.multiselect[0].set_value(["one", "three", "two"]).run()
    assert app.query_params["runs"] in ("one,three,two", ["one,three,two"])
    pair = [box for box in app.selectbox if box.label in ("Users: from", "to")]
    assert [box.value for box in pair] == ["one", "three"]
    pair[0].set_value("three").run()
    pair = [box for box in app.selectbox if box.label in ("Users: from", "to")]
    assert [box.value for box in pair] == ["three", "one"]
    assert (app.query_params["a"], app.query_params["b"]) in (("three", "one"), (["three"], ["one"]))


def test_names_that_are_not_there_are_told_with_those_that_are(folder: Path) -> None:
    app = at_rest(runs="one,<b>gone</b>,three", a="one", b="nobody")
    first, second = (text.value for text in app.warning)
    assert "?b?gone??b?, and there is no such run (any more)" in first
    assert "one" in first
    assert "nobody user by user" in second
    assert app.multiselect[0].value == ["one", "three"]


def test_a_damaged_run_is_named_and_the_others_are_compared(folder: Path) -> None:
    (folder / "two" / "model.safetensors").write_bytes(b"damaged")
    (folder / "three" / "run.json").write_text("{")
    app = at_rest(runs="one,two,three,four")
    assert [text.value for text in app.error] == [f"The run **{name}** cannot be compared." for name in ("two", "three")]
    told = [text.value for text in app.text]
    assert "model.safetensors is damaged" in told[0]
    assert "run.json cannot be read" in told[1]
    assert not any(str(folder) in text for text in told)
    assert table(app, "run")["run"] == ["one", "four"]
    app = click(app, "Try again")
    assert not app.exception


def test_without_runs_the_page_says_how_to_get_one() -> None:
    app = at_rest()
    assert "Which of your runs is better" in heading(app)
    assert any("No run is kept yet. Train one and keep it" in text.value for text in app.caption)
    assert "**Train a run →**" in [link.proto.label for link in app.get("page_link")]
    assert not charts(app)


def test_recorded_runs_stand_in_for_runs_that_nobody_has_kept_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.tiny import CONFIG

    monkeypatch.setenv("SPARCODE_RECORDED", str(tiny_recording(tmp_path)))
    monkeypatch.setattr(loaders, "load", lambda source: tiny_data())
    monkeypatch.setattr(loaders, "run_config", lambda synthetic: CONFIG)
    loaders.close_studio()
    app = at_rest()
    assert app.multiselect[0].value == ["recorded:m2-k6", "recorded:m1-k4"]
    assert "recorded m1-k4" in heading(app)
    assert any("you can compare the recorded ones" in text.value for text in app.caption)


def test_figures_and_tables_are_added_to_the_report_with_what_they_are_of(folder: Path) -> None:
    app = at_rest(runs="one,three")
    added = [button for button in app.button if button.label == "Add to report"]
    added[0].click().run()
    (entry,) = loaders.opened().reports.of(app.session_state["owner"]).entries
    assert entry.source.page == "Compare runs"
    assert entry.source.called == "one, three"
    assert entry.content.columns[0] == "run"
    assert "Show data: every test user under both runs" in [expander.label for expander in app.expander]
    assert labels(app)
    assert mounted(app)
    assert "mean difference" in " ".join(text.value for text in app.caption)
    assert "##### What differs in their settings" in markdown(app)
