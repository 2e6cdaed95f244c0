from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.explorer import panel, search
from app.jobs.job import JobSnapshot, JobState
from app.measured import front_tuning, setting_grids
from app.measured import indexes as indexes_module
from app.measured import measured_index as measured_index_module
from app.measured.front_tuning import front_key, front_settings
from app.measured.setting_grids import grid_key
from app.measured.setting_jobs import measuring_key, tuning_key
from app.models import backbones as backbones_module
from app.models import tuned as tuned_module
from app.models.backbones import backbone_key
from app.session import loaders
from app.session.address import PINNED
from app.session.configuration import Configuration
from app.session.settings import KEPT
from sparcode.comparison.setting_grid import Grid
from sparcode.config import SyntheticConfig
from sparcode.data.loading import load
from sparcode.metrics.registry import METRICS
from tests.app import open_studio
from tests.app.open_studio import tuned_in_part, tuned_too_late
from tests.fakes import PATIENCE, gated, raising
from tests.pages.opened_pages import (
    MOVING,
    chart_places,
    charts,
    click,
    config_of,
    control,
    described,
    ended,
    figures,
    labels,
    markdown,
    opened,
    own_backbone,
    run_rows,
    setting_keys,
    settled,
    slider,
    studio,
    tiles,
    visited,
)

pytestmark = pytest.mark.usefixtures("tiny_app")
PAGE = "index_explorer.py"
TIMES = ("Latency, median", "Latency, p95", "Encode + codes + lists + top-k")
NAMES = ("Recall@50", "NDCG@50", *TIMES, "Index size", "Scores kept", "Codes in use", "Perplexity")


def said(app: AppTest) -> str:
    """All captions of the page."""
    return "\n".join(caption.value for caption in app.caption)


def released(app: AppTest, percent: str) -> AppTest:
    """The page after the threshold's slider was let go at a stop."""
    app.session_state["keep"] = percent
    return app.run()


def held(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> threading.Event:
    """A function of a module begins once this is set."""
    gate = threading.Event()
    monkeypatch.setattr(module, name, gated(getattr(module, name), gate))
    return gate


def test_sliders_and_the_backbone_are_there_before_any_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = held(monkeypatch, backbones_module, "train_backbone")
    app = visited(PAGE)
    assert not app.exception
    assert setting_keys(app.select_slider) == ["m", "k", "p", "t"]
    assert setting_keys(app.selectbox)[1:] == ["interaction", "encoder", "seed"]
    assert (slider(app)["kept"], slider(app)["curve"]) == (KEPT.start, "")
    assert "backbone is being trained" in app.info[0].value
    assert list(charts(app)) == ["Training the backbone"]
    assert not figures(app)
    gate.set()
    ended(own_backbone())
    assert "Recall@50 · preview" in figures(app.run())


def test_the_address_is_read_before_anything_that_takes_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[str | None] = []
    monkeypatch.setattr(panel, "recorded_notes", lambda studio: known.append(panel.st.session_state.get("k")))
    visited(PAGE, k="8")
    assert set(known) == {"8"}


def test_the_preview_is_replaced_by_the_fine_tuned_figures() -> None:
    app = opened(PAGE, k="8")
    assert not app.exception
    first = figures(app)
    assert set(first) == {f"{name} · preview" for name in NAMES}
    last = figures(settled(app))
    assert set(last) == {label.replace("preview", "fine-tuned") for label in first}
    assert "fine-tuned in" in markdown(app)
    assert re.search(r"\*\*[\d.]+ .?B are enough for (99|100)% of its best recall\*\*: 0\.\d+ \(±0\.\d{3}\)", markdown(app))
    assert any("Seed 0" in caption.value for caption in app.caption)


def test_charts_stay_where_they_are_while_words_above_them_come_and_go() -> None:
    app = opened(PAGE, k="8")
    places = chart_places(app)
    assert len(places) == 9
    settled(app)
    assert any("Differences are to the **preview**" in caption.value for caption in app.caption)
    assert chart_places(app) == places
    released(app, KEPT.options[-1])
    assert "test queries get fewer than 50 items" in app.warning[0].value
    assert chart_places(app) == places
    click(app, "Pin this run")
    assert chart_places(app) == places


def test_the_run_can_be_saved_with_the_command_that_measures_it_again() -> None:
    app = settled(opened(PAGE, k="8", keep=KEPT.options[30]))
    app.session_state["explorer-save"] = True
    app.run()
    assert not app.exception
    unpack, command = app.code[0].value.splitlines()
    stage = studio().indexes.all()[-1]
    assert unpack == f"unzip {command.split()[2]}.zip"
    assert f"--threshold {float(stage.stops[30])!r} --data tiny.csv" in command


def test_recall_is_held_against_the_preview_where_it_differs() -> None:
    app = settled(opened(PAGE, k="8"))
    stages = {stage.kind: stage for stage in studio().indexes.all()}
    recall = {kind: np.array([stage.point(stop).recall for stop in range(len(KEPT.options))]) for kind, stage in stages.items()}
    changes = np.round(recall["fine-tuned"] - recall["preview"], 3).tolist()
    for stop in (int(np.argmax(np.abs(changes))), changes.index(0)):
        released(app, KEPT.options[stop])
        assert tiles(app)["recall"]["delta"] == (f"{changes[stop]:+.3f}" if changes[stop] else "no change")
        curve = json.loads(slider(app)["curve"])
        assert curve["tiles"]["recall"]["delta"][curve["stops"].index(stop)] in (tiles(app)["recall"]["delta"], "…")
        assert any("Differences are to the **preview**" in caption.value for caption in app.caption)


def test_moving_the_threshold_changes_figures_and_charts() -> None:
    app = settled(opened(PAGE, m="2", k="16", keep=KEPT.options[10]))
    before, drawn, spoken = figures(app), charts(app), described(app)
    stop = 85
    released(app, KEPT.options[stop])
    after = figures(app)
    moved = {label for label in before if before[label] != after[label]}
    assert {"Recall@50 · fine-tuned", "Index size · fine-tuned"} <= moved
    assert after["Codes in use · fine-tuned"] == before["Codes in use · fine-tuned"]
    point = studio().indexes.all()[-1].point(stop)
    assert after["Recall@50 · fine-tuned"] == METRICS["recall"].text(point.recall)
    assert after["Index size · fine-tuned"] == METRICS["size_bytes"].text(point.total_bytes)
    changed = {title for title in drawn if charts(app)[title]["data"] != drawn[title]["data"]}
    assert changed == MOVING
    assert described(app) != spoken


def test_other_codebooks_make_another_index() -> None:
    app = settled(opened(PAGE, m="1", k="8"))
    before = figures(app)
    control(app.select_slider, "k").set_value("16").run()
    assert "Recall@50 · preview" in figures(app)
    after = figures(settled(app))
    assert int(before["Codes in use · fine-tuned"]) <= 8
    assert 8 < int(after["Codes in use · fine-tuned"]) <= 16
    labels_of_lines = [trace.get("name") for trace in charts(app)["Recall against index size"]["data"]]
    assert {"M=1 K=8 fine-tuned", "M=1 K=16 fine-tuned"} <= set(labels_of_lines)


def test_a_threshold_above_every_score_is_put_in_plain_words_with_a_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stops_of = measured_index_module.threshold_stops

    def too_high(index: object, default_threshold: float) -> object:
        stops = stops_of(index, default_threshold)
        stops[-1] = index.scores.max()
        return stops

    monkeypatch.setattr(measured_index_module, "threshold_stops", too_high)
    app = settled(opened(PAGE, k="8", keep=KEPT.options[-1]))
    assert not app.exception
    assert "above every score" in app.warning[0].value
    assert figures(app)["Recall@50 · fine-tuned"] == "0.000"
    click(app, "Back to the threshold the model was trained for")
    assert slider(app)["kept"] == KEPT.start
    assert not any("above every score" in warning.value for warning in app.warning)


def test_a_value_of_the_address_that_is_not_possible_is_named() -> None:
    app = opened(PAGE, k="7")
    assert "k = 7" in app.warning[0].value
    assert not app.exception


@pytest.mark.parametrize("in_part", [tuned_in_part, tuned_too_late])
def test_a_training_of_all_epochs_that_fails_says_so_beside_what_was_there(in_part: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_module, "fine_tune_within", in_part)
    app = settled(opened(PAGE, k="8"))
    before = figures(app)
    monkeypatch.setattr(tuned_module, "fine_tune_within", raising(ValueError("the loss became nan in epoch 2")))
    settled(click(app, "Train all 3 epochs"))
    assert "an error: the loss became nan in epoch 2" in markdown(app)
    assert "Train all 3 epochs" in labels(app)
    assert figures(app) == before


@pytest.mark.parametrize(
    ("tuning", "kind", "says", "button"),
    [
        (raising(ValueError("the loss became nan in epoch 2")), "preview", "an error: the loss became nan in epoch 2", "Fine-tune again"),
        (tuned_too_late, "preview", "no fine-tuning fitted into the time", "Train all 3 epochs"),
        (tuned_in_part, "fine-tuned", "fine-tuned in", "Train all 3 epochs"),
    ],
    ids=["failed", "no time", "cut short"],
)
def test_a_fine_tuning_that_did_not_reach_its_end_says_so_and_can_be_made_whole(
    tuning: object, kind: str, says: str, button: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tuned_module, "fine_tune_within", tuning)
        app = settled(opened(PAGE, k="8"))
    assert says in markdown(app)
    assert ("fine-tuned in" in markdown(app)) == (kind == "fine-tuned")
    assert f"Recall@50 · {kind}" in figures(app)
    settled(click(app, button))
    assert "Recall@50 · fine-tuned" in figures(app)
    assert button not in labels(app)


def test_a_failed_backbone_shows_its_message_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
        app = opened(PAGE, k="8")
    assert "division by zero" in app.error[0].value
    click(app, "Try again")
    ended(own_backbone())
    assert "Recall@50 · preview" in figures(app.run())


def test_a_failed_preview_shows_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes_module, "preview", lambda *arguments: 1 / 0)
    app = settled(opened(PAGE, k="8"))
    assert "division by zero" in app.error[0].value
    assert "Try again" in labels(app)


def test_fine_tuning_can_be_cancelled_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = held(monkeypatch, tuned_module, "fine_tune_within")
    app = opened(PAGE, k="8")
    ended(measuring_key("preview", config_of(k="8")))
    click(app.run(), "Cancel fine-tuning")
    gate.set()
    ended(tuning_key(config_of(k="8")))
    settled(app).run()
    assert "was cancelled" in markdown(app)
    assert "Recall@50 · fine-tuned" in figures(settled(click(app, "Fine-tune again")))


def test_a_tab_that_moves_on_leaves_another_tab_of_the_same_browser_its_training(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = held(monkeypatch, tuned_module, "fine_tune_within")
    one, other = opened(PAGE, k="8"), visited(PAGE, k="16")
    ended(measuring_key("preview", config_of(k="8")))
    one.run()
    other.session_state["owner"] = one.session_state["owner"]
    control(other.select_slider, "k").set_value("8").run()
    control(other.select_slider, "k").set_value("16").run()
    training = tuning_key(config_of(k="8"))
    assert studio().jobs.get(training).active
    # Nor does one that has pinned it.
    other.session_state[PINNED] = Configuration(k="8")
    control(other.select_slider, "k").set_value("32").run()
    assert studio().jobs.get(training).active
    # The last tab that shows it takes it along.
    control(one.select_slider, "k").set_value("16").run()
    assert not studio().jobs.get(training).active
    gate.set()


def test_a_visitor_who_cancelled_can_join_a_training_that_goes_on_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = held(monkeypatch, tuned_module, "fine_tune_within")
    app = opened(PAGE, k="8")
    config = config_of(k="8")
    ended(measuring_key("preview", config))
    app.run()
    studio().setting_jobs.start_tuning(config, "another")
    click(app, "Cancel fine-tuning")
    assert "It goes on because another visitor wants it" in markdown(app)
    click(app, "Join it again")
    assert studio().jobs.get(tuning_key(config)).owners == {"another", app.session_state["owner"]}
    gate.set()


def test_the_size_chart_holds_what_this_visitor_looked_at() -> None:
    settled(opened(PAGE, k="16"))
    app = settled(opened(PAGE, k="8"))
    names = [trace.get("name", "") for trace in charts(app)["Recall against index size"]["data"]]
    assert not [name for name in names if "K=16" in name]
    settled(control(app.select_slider, "k").set_value("16").run())
    names = [trace.get("name", "") for trace in charts(app)["Recall against index size"]["data"]]
    assert [name for name in names if "K=8" in name]


def test_the_numbers_behind_the_curves_are_there_to_read() -> None:
    app = settled(opened(PAGE, m="2", k="8"))
    app.session_state["explorer-numbers"] = True
    app.run()
    table, scores, codewords, lists, memory, training = [frame.value for frame in app.dataframe]
    assert len(table) == len(KEPT.options)
    assert table["Recall@50"].tolist() == studio().indexes.all()[-1].curve.recall.tolist()
    stage = studio().indexes.all()[-1]
    assert table["timed"].ne("").sum() == len(stage.latencies()) < len(table)
    assert scores["scores"].sum() == len(stage.explorer.index.scores)
    assert list(codewords.columns) == ["codebook 1", "codebook 2"]
    point = stage.point(KEPT.options.index(KEPT.start))
    assert lists["items in its list"].sum() == point.kept_postings
    assert memory["MB"].sum() == pytest.approx(point.total_bytes / 1e6)
    assert training["recall"].tolist() == [record.recall for record in stage.records]


def test_a_link_with_every_setting_opens_that_view() -> None:
    asked = {"m": "1", "k": "8", "t": "2", "interaction": "dot", "encoder": "gru", "seed": "3", "keep": KEPT.options[40]}
    app = settled(opened(PAGE, **asked))
    assert not app.exception
    shown = Configuration(**asked)
    assert {key: app.session_state[key] for key in asked} == asked
    config = config_of(**asked)
    assert (config.model.n_tokens, config.model.interaction, config.model.encoder, config.training.seed) == (2, "dot", "gru", 3)
    assert studio().indexes.best(config).kind == "fine-tuned"
    assert slider(app)["kept"] == KEPT.options[40]
    assert run_rows(app)[0]["label"] == f"{shown.label}, {KEPT.options[40]} % kept"


def test_figures_of_the_setting_before_are_of_this_data_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaders, "SMALL_USERS", 70)
    monkeypatch.setattr(loaders, "SMALL_ITEMS", 60)
    app = settled(opened(PAGE, k="8", encoder="gru"))
    # Another visitor has the same setting measured on other data.
    other = loaders.opened().of_data("small", lambda: load(SyntheticConfig(n_users=70, n_items=60)))
    config = Configuration(k="8", encoder="gru").run_config(other.config)
    assert open_studio.settled(other, config, "bob").measured is not None
    gate = held(monkeypatch, backbones_module, "train_backbone")
    (picker,) = [box for box in app.selectbox if box.label == "Data or run"]
    picker.set_value("small").run()
    assert not app.exception
    assert "Training the backbone" in charts(app)
    assert "In grey the setting before" not in said(app)
    gate.set()


def test_another_encoder_trains_a_backbone_that_is_watched_and_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    app = settled(opened(PAGE, k="8"))
    gate = held(monkeypatch, backbones_module, "train_backbone")
    control(app.selectbox, "encoder").set_value("gru").run()
    assert "In grey the setting before: **M=1 K=8, " in said(app)
    assert list(charts(app)) == [
        "Training the backbone",
        "Accuracy against threshold",
        "Recall against index size",
        "Recall against latency",
    ]
    assert "Recall@50 · fine-tuned" in figures(app)
    key = backbone_key(config_of(k="8", encoder="gru"))
    click(app, "Cancel training")
    gate.set()
    ended(key)
    settled(app)
    assert "was cancelled" in app.warning[0].value
    assert "In grey the setting before" in said(app)
    click(app, "Try again")
    assert "Recall@50 · fine-tuned" in figures(settled(app))
    assert "In grey the setting before" not in said(app)
    # What was seen before comes at once.
    control(app.selectbox, "encoder").set_value("mean").run()
    assert "Recall@50 · fine-tuned" in figures(app)


def test_undo_and_redo_go_through_every_setting_and_a_new_choice_ends_redo() -> None:
    app = settled(opened(PAGE, k="8"))
    assert [button.disabled for button in app.button if button.label in ("Undo", "Redo")] == [True, True]
    released(app, KEPT.options[60])
    control(app.select_slider, "m").set_value("2").run()
    settled(app)
    click(app, "Undo")
    assert (app.session_state["m"], slider(app)["kept"]) == ("1", KEPT.options[60])
    click(app, "Undo")
    assert slider(app)["kept"] == KEPT.start
    click(app, "Redo")
    assert slider(app)["kept"] == KEPT.options[60]
    released(app, KEPT.options[70])
    assert [button.disabled for button in app.button if button.label == "Redo"] == [True]
    assert [row["number"] for row in run_rows(app)] == [4, 3, 2, 1]
    assert [row["current"] for row in run_rows(app)] == [True, False, False, False]


def test_the_table_of_runs_has_exact_figures_and_differences_to_the_run_before() -> None:
    app = settled(opened(PAGE, k="8"))
    released(app, KEPT.options[80])
    last, first = run_rows(app)
    assert last["change"] == f"kept % {KEPT.start} → {KEPT.options[80]}"
    stage = studio().indexes.all()[-1]
    recall = [stage.point(stop).recall for stop in (KEPT.options.index(KEPT.start), 80)]
    assert (first["figures"][1], last["figures"][1]) == ([f"{recall[0]:.3f}", ""], [f"{recall[1]:.3f}", f"{recall[1] - recall[0]:+.3f}"])


def test_a_pinned_run_is_held_against_everything_until_it_is_unpinned() -> None:
    app = settled(opened(PAGE, k="8"))
    before = tiles(app)
    click(app, "Pin this run")
    assert tiles(app)["recall"]["delta"] == "no change"
    control(app.select_slider, "k").set_value("16").run()
    settled(app)
    pinned = studio().indexes.best(config_of(k="8"))
    shown = studio().indexes.best(config_of(k="16"))
    stop = KEPT.options.index(KEPT.start)
    change = shown.point(stop).total_bytes - pinned.point(stop).total_bytes
    assert tiles(app)["size_bytes"]["delta"] == f"{change / 1e6:+.2f} MB".replace("+0.00 MB", "no change")
    ghosts = {title for title, figure in charts(app).items() if any(trace.get("name") == "pinned" for trace in figure["data"])}
    assert {"Accuracy against threshold", "Recall against index size", "Use of codewords", "Memory by part"} <= ghosts
    assert run_rows(app)[-1]["pinned"]
    assert app.session_state["pin"] == Configuration(k="8")
    click(app, "Unpin")
    assert not any(trace.get("name") == "pinned" for figure in charts(app).values() for trace in figure["data"])
    assert before["recall"]["value"] == f"{pinned.point(stop).recall:.3f}"


def test_a_pinned_run_of_a_link_is_measured_after_the_run_shown() -> None:
    app = opened(PAGE, k="8", pin=Configuration(k="16", m="1").text)
    assert any("The pinned run (M=1 K=16, 20 % kept) is measured once" in caption.value for caption in app.caption)
    settled(app)
    assert any("Differences are to the **pinned** run" in caption.value for caption in app.caption)
    assert studio().indexes.best(config_of(k="16", m="1")).kind == "fine-tuned"


def searched(app: AppTest, label: str) -> AppTest:
    """The page after a search asked for by a button."""
    click(app, label)
    ended(grid_key(config_of(k="8")))
    return settled(app.run())


@pytest.fixture
def front_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search is all there is: its front is not fine-tuned."""
    monkeypatch.setattr(search, "_tunes_front", lambda asked, config, studio: False)


@pytest.mark.usefixtures("front_stays")
def test_a_search_of_all_settings_opens_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1, 2), (8, 16), (1, 4)))
    app = searched(settled(opened(PAGE, k="8", mb="0.01")), "Best under 0.01 MB")
    assert not app.exception
    points = studio().grids.found(config_of(k="8")).points
    best = max((point for point in points if point.size_bytes <= 10_000), key=lambda point: (point.recall, -point.size_bytes))
    chosen = Configuration(m=str(best.n_codebooks), k=str(best.codebook_size), p=str(best.n_nearest), keep=KEPT.options[best.place])
    assert run_rows(app)[0]["label"] == f"{chosen.label}, {chosen.keep} % kept"
    assert f"validation recall {best.recall:.3f} at {best.size_bytes / 1e6:.2f} MB" in markdown(app)
    front = charts(app)["All settings searched"]
    assert [trace["name"] for trace in front["data"]] == ["Pareto front", "M = 1", "M = 2", "the answer", "budget"]
    assert sum(len(trace["text"]) for trace in front["data"] if "text" in trace) == len(points)
    # The search is known from now on: another question is answered at once.
    click(app, "Smallest within 1 % of the best")
    good = [point for point in points if point.recall >= 0.99 * max(point.recall for point in points)]
    smallest = min(good, key=lambda point: (point.size_bytes, -point.recall))
    assert f"Smallest within 1 % of the best: M = {smallest.n_codebooks}, K = {smallest.codebook_size}" in markdown(app)


def at_front(app: AppTest) -> JobSnapshot:
    """The fine-tuning of the front, once it is over."""
    return ended(front_key(config_of(k="8")))


def test_the_front_of_a_search_is_fine_tuned_and_the_answer_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1, 2), (8, 16), (1, 4)))
    gate = held(monkeypatch, front_tuning, "model_points")
    app = settled(opened(PAGE, k="8", mb="0.02"))
    click(app, "Best under 0.02 MB")
    ended(grid_key(config_of(k="8")))
    app.run()
    points = studio().grids.found(config_of(k="8")).points
    first = max((point for point in points if point.size_bytes <= 20_000), key=lambda point: (point.recall, -point.size_bytes))
    settings = front_settings(points, first, 20_000)
    assert f"**0 of {len(settings)}** settings of the front are fine-tuned" in markdown(app)
    assert "Stop fine-tuning the front" in labels(app)
    assert f"validation recall {first.recall:.3f} at" in markdown(app)
    gate.set()
    assert at_front(app).state is JobState.DONE
    settled(app)
    tuned = studio().front.found(config_of(k="8"), settings)
    answer = max(
        (p for each in tuned.values() for p in each if p.size_bytes <= 20_000), key=lambda point: (point.recall, -point.size_bytes)
    )
    said_now = markdown(app)
    assert f"**{len(settings)} of {len(settings)}** settings of the front are fine-tuned" in said_now
    assert f"**Best under 0.02 MB: M = {answer.n_codebooks}, K = {answer.codebook_size}, P = {answer.n_nearest}, " in said_now
    assert f"validation recall {answer.recall:.3f} at {answer.size_bytes / 1e6:.2f} MB, fine-tuned; of the previews it was" in said_now
    figure = charts(app)["All settings searched"]
    traces = {trace["name"]: trace for trace in figure["data"]}
    assert len(traces["fine-tuned"]["text"]) == sum(map(len, tuned.values()))
    n_previews = sum(point.codes not in tuned for point in points)
    assert sum(len(traces[name]["text"]) for name in traces if name.startswith("M = ")) == n_previews
    # What is opened is the model that was trained for the front, all epochs of it.
    if "Open it" in labels(app):
        click(app, "Open it")
        settled(app)
    shown = studio().indexes.best(config_of(m=str(answer.n_codebooks), k=str(answer.codebook_size), p=str(answer.n_nearest)))
    assert not shown.cut_short
    assert "Stop fine-tuning the front" not in labels(app)


def test_the_fine_tuning_of_a_front_stops_at_a_click_and_goes_on_at_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1, 2), (8, 16), (1, 4)))
    gate = held(monkeypatch, front_tuning, "model_points")
    app = settled(opened(PAGE, k="8", mb="0.02"))
    click(app, "Best under 0.02 MB")
    ended(grid_key(config_of(k="8")))
    app.run()
    click(app, "Stop fine-tuning the front")
    gate.set()
    assert at_front(app).state is JobState.CANCELLED
    settled(app)
    assert "the rest is not going on" in markdown(app)
    click(app, "Go on with the front")
    assert at_front(app).state is JobState.DONE
    assert "Go on with the front" not in labels(settled(app))


@pytest.mark.parametrize("leave", ["page", "data", "search", "encoder"])
def test_the_fine_tuning_of_a_front_ends_when_its_visitor_does_something_else(monkeypatch: pytest.MonkeyPatch, leave: str) -> None:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1,), (8, 16), (1,)))
    gate = held(monkeypatch, front_tuning, "model_points")
    app = settled(opened(PAGE, k="8", mb="0.02"))
    click(app, "Best under 0.02 MB")
    ended(grid_key(config_of(k="8")))
    app.run()
    front = front_key(config_of(k="8"))
    assert studio().jobs.get(front).active
    first = studio()
    if leave == "page":
        app.switch_page("../pages/overview.py").run()
    elif leave == "data":
        monkeypatch.setattr(loaders, "SMALL_USERS", 70)
        monkeypatch.setattr(loaders, "SMALL_ITEMS", 60)
        app.selectbox[0].set_value("small").run()
    elif leave == "search":
        click(app, "Smallest within 1 % of the best")
    else:
        control(app.selectbox, "encoder").set_value("gru").run()
    gate.set()
    job = first.jobs.wait(front, lambda snapshot: False, PATIENCE)
    if leave == "search":
        # Another order of settings; what is known stays.
        assert job.state in (JobState.CANCELLED, JobState.DONE)
        settled(app)
        assert "Smallest within 1 % of the best" in markdown(app)
    else:
        assert job.state is JobState.CANCELLED


@pytest.mark.usefixtures("front_stays")
def test_the_answer_of_a_search_waits_for_a_visitor_who_has_moved_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1,), (8, 16), (1, 4)))
    gate = threading.Event()
    monkeypatch.setattr(setting_grids, "grid_points", gated(setting_grids.grid_points, gate))
    app = settled(opened(PAGE, k="8"))
    click(app, "Best under 2 MB")
    (bar,) = app.get("progress")
    assert bar.proto.text.startswith("Best under 2 MB: 0 of 4 settings")
    control(app.select_slider, "k").set_value("32").run()
    gate.set()
    ended(grid_key(config_of(k="8")))
    settled(app.run())
    assert "M=1 K=32" in run_rows(app)[0]["label"]
    click(app, "Open it")
    assert "K=32" not in run_rows(app)[0]["label"]
    assert "Open it" not in labels(app)


def test_a_search_can_be_cancelled_and_a_budget_that_nothing_fits_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setting_grids, "GRID", Grid((1,), (256,), (1,)))
    gate = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(setting_grids, "grid_points", gated(setting_grids.grid_points, gate))
        app = settled(opened(PAGE, k="8", mb="0.01"))
        click(app, "Best under 0.01 MB")
        click(app, "Cancel the search")
        gate.set()
        assert ended(grid_key(config_of(k="8"))).state is JobState.CANCELLED
    assert "Cancel the search" not in labels(app)
    monkeypatch.setattr(search, "best_under", lambda points, size: None)
    searched(app, "Best under 0.01 MB")
    assert "Best under 0.01 MB: nothing fits" in markdown(app)


def test_a_single_code_in_use_is_put_in_plain_words() -> None:
    app = settled(opened(PAGE, k="8"))
    stage = studio().indexes.all()[-1]
    object.__setattr__(stage, "usage", stage.usage._replace(codes_in_use=1))
    app.run()
    assert any("All queries share one code" in warning.value for warning in app.warning)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (None, "few.csv cannot be used"),
        ([], "cannot be used"),
        ([f"u{user},i0" for user in range(40)], "has 0 of 40 users"),
    ],
    ids=["no file", "no data", "one item"],
)
def test_data_without_enough_to_retrieve_is_named_with_a_way_on(
    rows: list[str] | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "few.csv"
    if rows is not None:
        table.write_text("\n".join(["user_id,item_id", *rows]), encoding="utf-8")
    monkeypatch.setenv("SPARCODE_DATA", str(table))
    app = visited(PAGE)
    assert not app.exception
    assert says in app.error[0].value
    assert "start the studio without SPARCODE_DATA" in markdown(app)


def test_a_catalogue_smaller_than_the_list_asked_for_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "six.csv"
    table.write_text("\n".join(["user_id,item_id", *(f"u{user},i{item}" for user in range(40) for item in range(6))]), encoding="utf-8")
    monkeypatch.setenv("SPARCODE_DATA", str(table))
    app = settled(opened(PAGE, k="8"))
    assert not app.exception
    assert "because the catalogue has only 6" in app.warning[0].value
    assert "Recall@50 · fine-tuned" in figures(app)
