from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import streamlit_app
from app.measured.rivals import rivals, so_what
from app.measured.scale_words import headline
from app.measured.setting_jobs import measuring_key, tuning_key
from app.session import chosen_data, loaders
from app.studio import COMPARISON_KEY
from tests.pages.opened_pages import charts, figures, own_backbone, settled, studio, tiles, visited

PAGES = ("overview.py", "index_explorer.py", "train.py")


@pytest.fixture(autouse=True)
def default_data(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The studio as it is started without settings."""
    monkeypatch.delenv(chosen_data.DATA_VARIABLE, raising=False)
    monkeypatch.delenv(loaders.RECORDED_VARIABLE, raising=False)
    loaders.close_studio()
    yield
    loaders.close_studio()


def said(app: AppTest) -> str:
    """All running text of a page."""
    return "\n".join(text.value for text in (*app.markdown, *app.caption))


def trained_jobs() -> list[str]:
    """Keys of trainings that were started."""
    keys = (own_backbone(), tuning_key(studio().config), COMPARISON_KEY)
    return [key for key in keys if studio().jobs.get(key) is not None]


def test_the_overview_compares_recorded_models() -> None:
    app = visited("overview.py")
    assert not app.exception
    (table,) = [element.value for element in app.table]
    rows = rivals(studio().serving.result(studio().config).points)
    assert table["way to serve"].tolist() == [row.point.name for row in rows]
    assert {"SparCode (index)", "all-to-all", "two-tower Flat", "EASE"} <= set(table["way to serve"])
    assert "trained and measured on" in said(app)
    assert studio().serving.result(studio().config).recording.words in said(app)
    assert "Measured on this machine" not in said(app)
    assert "Measure on this machine" in [button.label for button in app.button]
    assert not app.info or "synthetic" in app.info[0].value
    assert trained_jobs() == []


def test_compare_opens_with_the_recorded_measurement_of_this_setting_and_says_so_for_others() -> None:
    app = visited("compare.py")
    assert not app.exception
    result = studio().serving.result(studio().config)
    assert result.recording is not None
    rows = rivals(result.points)
    assert app.markdown[0].value == so_what(rows, studio().interactions.n_items)
    (table,) = [element.value for element in app.table]
    assert [name.strip("*") for name in table["way to serve"]] == [row.point.name for row in rows]
    assert result.recording.words in said(app)
    assert not app.info
    other = visited("compare.py", k="16")
    assert other.table[0].value.equals(table)
    assert "Not measured for this setting yet" in other.info[0].value
    assert trained_jobs() == []


def shows_recorded_models_measured_here(app: AppTest) -> None:
    assert not app.exception
    shown = figures(app)
    assert 0.4 < float(shown["Recall@50 · recorded"]) < 0.8
    assert float(shown["Latency, median · recorded"].split()[0]) > 0
    for title in ("Recall against index size", "Recall against latency"):
        looks = [
            json.dumps(trace["marker"]) for trace in charts(app)[title]["data"] if trace["mode"] == "markers" and trace["name"] != "now"
        ]
        assert len(looks) == len(set(looks)) > 3
    assert "fine-tuned in" in said(app)
    assert "Its index is built and measured on this machine" in said(app)
    assert "Fine-tuning" in charts(app)
    names = [trace.get("name") for trace in charts(app)["Recall against latency"]["data"]]
    assert "two-tower (recorded)" in names
    assert trained_jobs() == []


@pytest.mark.parametrize("address", [{"k": "128"}, {"m": "2"}, {"m": "2", "k": "128"}])
def test_the_explorer_shows_recorded_models_measured_here(address: dict[str, str]) -> None:
    app = settled(visited("index_explorer.py", **address))
    shows_recorded_models_measured_here(app)
    # Better than the most popular items, which everyone gets alike.
    assert float(tiles(app)["recall"]["value"]) > 0.3


def test_recorded_and_recomputed_figures_agree_and_the_model_is_trained_here_when_asked() -> None:
    app = settled(visited("index_explorer.py"))
    shows_recorded_models_measured_here(app)
    points = {point.label: point for point in studio().serving.result(studio().config).points}
    row = points["SparCode (index), 20% of scores"]
    # On another processor sums may be rounded another way, and a few items change places.
    assert float(tiles(app)["recall"]["value"]) == pytest.approx(row.recall, abs=0.003)
    assert studio().backbone.recall == pytest.approx(points["all-to-all"].recall, abs=1e-6)
    (button,) = [button for button in app.button if button.label == "Fine-tune here"]
    button.click().run()
    assert studio().jobs.get(tuning_key(studio().config)).active
    assert "Fine-tuning M = 1, K = 256 for all" in said(app)


def test_train_shows_the_recorded_run_with_its_codes() -> None:
    app = visited("train.py")
    assert not app.exception
    assert len(charts(app)) == 6
    assert all(figure["data"] for figure in charts(app).values())
    assert "Nothing has been trained in this browser yet" not in said(app)
    assert studio().recorded.recording.words in said(app)
    assert {"Recall@50", "Index size", "Codes in use", "Two-tower Recall@50"} <= set(figures(app))
    assert trained_jobs() == []


@pytest.mark.parametrize("page", PAGES)
def test_damaged_records_are_said_and_models_are_trained(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(loaders.RECORDED_FOLDER, tmp_path / "recorded"))
    (folder / "recorded.json").write_text("{", encoding="utf-8")
    monkeypatch.setenv(loaders.RECORDED_VARIABLE, str(folder))
    app = visited(page)
    assert not app.exception
    assert any("The recorded runs are not used, models are trained here instead" in note.value for note in app.info)
    assert studio().jobs.get(own_backbone()) is not None


def test_records_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(loaders.RECORDED_VARIABLE, "off")
    app = visited("overview.py")
    assert not app.table
    assert [note.value for note in app.info if "recorded" in note.value] == []


def test_what_is_loaded_ahead_is_measured_and_kept_from_the_collector() -> None:
    try:
        streamlit_app.load_ahead()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 100_000
        assert studio().jobs.get(measuring_key("fine-tuned", studio().config)) is not None
    finally:
        gc.unfreeze()


def test_data_that_cannot_be_used_is_left_to_the_first_visitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(chosen_data.DATA_VARIABLE, "no-such-file.csv")
    loaders.open_ahead()
    told: list[str] = []
    monkeypatch.setattr(loaders.st, "error", told.append)
    loaders.opened()
    assert [("no-such-file.csv cannot be used" in text) for text in told] == [True]


def test_scale_and_the_overview_show_the_recorded_growth_at_once() -> None:
    app = visited("scale.py")
    assert not app.exception
    result = studio().recorded.scale(studio().config)
    assert max(result.sizes) == 1_000_000
    assert app.markdown[0].value == f"#### {headline(result.points)}"
    assert "answers sooner than exact two-tower" in app.markdown[0].value
    assert result.recording.words in said(app)
    assert "Measure up to 100,000 items here" in [button.label for button in app.button]
    overview = visited("overview.py")
    assert overview.markdown[0].value == app.markdown[0].value
    assert "Time per query" in charts(overview)
    assert trained_jobs() == []
