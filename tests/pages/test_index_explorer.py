from __future__ import annotations

import threading

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import backbones as backbones_module
from app import stage as stage_module
from app import studio as studio_module
from app.live_tuning import fine_tune_within
from app.state import KEPT, quantizer_config
from app.studio import tuning_key
from sparcode.metrics.registry import METRICS
from tests.pages.opened_pages import PATIENCE, charts, described, ended, figures, opened, own_backbone, settled, studio, visited

pytestmark = pytest.mark.usefixtures("tiny_app")
PAGE = "index_explorer.py"


def markdown(app: AppTest) -> str:
    return "\n".join(text.value for text in app.markdown)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def click(app: AppTest, label: str) -> AppTest:
    (found,) = [button for button in app.button if button.label == label]
    return found.click().run()


def test_sliders_and_the_backbone_are_there_before_any_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_gate = threading.Event()
    train = backbones_module.train_backbone

    def held(*arguments: object) -> object:
        assert opened_gate.wait(PATIENCE)
        return train(*arguments)

    monkeypatch.setattr(backbones_module, "train_backbone", held)
    app = visited(PAGE)
    assert not app.exception
    assert [widget.key for widget in app.select_slider] == ["m", "k", "keep"]
    assert "backbone is being trained" in app.info[0].value
    assert list(charts(app)) == ["Training the backbone"]
    assert not app.metric
    opened_gate.set()
    ended(own_backbone())
    assert "Recall@50 · preview" in figures(app.run())


def test_the_preview_is_replaced_by_the_fine_tuned_figures() -> None:
    app = opened(PAGE, k="8")
    assert not app.exception
    first = figures(app)
    assert set(first) == {f"{name} · preview" for name in ("Recall@50", "Latency, median", "Index size", "Codes in use")}
    last = figures(settled(app))
    assert set(last) == {label.replace("preview", "fine-tuned") for label in first}
    assert "fine-tuned in" in markdown(app)
    assert any("Seed 0" in caption.value for caption in app.caption)


def test_recall_is_held_against_the_preview_where_it_differs() -> None:
    app = settled(opened(PAGE, k="8"))
    stages = {stage.kind: stage for stage in studio().seen_stages()}
    recall = {kind: np.array([stage.point(stop).recall for stop in range(len(KEPT.options))]) for kind, stage in stages.items()}
    changes = np.round(recall["fine-tuned"] - recall["preview"], 3).tolist()
    for stop in (int(np.argmax(np.abs(changes))), changes.index(0)):
        app.select_slider(key="keep").set_value(KEPT.options[stop]).run()
        (card,) = [metric for metric in app.metric if metric.label.startswith("Recall")]
        assert card.delta == (f"{changes[stop]:+.3f} against the preview" if changes[stop] else "")


def test_moving_the_threshold_changes_figures_and_charts() -> None:
    app = settled(opened(PAGE, k="16", keep=KEPT.options[10]))
    before, drawn, spoken = figures(app), charts(app), described(app)
    stop = 85
    app.select_slider(key="keep").set_value(KEPT.options[stop]).run()
    after = figures(app)
    moved = {label for label in before if before[label] != after[label]}
    assert {"Recall@50 · fine-tuned", "Index size · fine-tuned"} <= moved
    assert after["Codes in use · fine-tuned"] == before["Codes in use · fine-tuned"]
    point = studio().seen_stages()[-1].point(stop)
    assert after["Recall@50 · fine-tuned"] == METRICS["recall"].text(point.recall)
    assert after["Index size · fine-tuned"] == METRICS["size_bytes"].text(point.total_bytes)
    changed = {title for title in drawn if charts(app)[title]["data"] != drawn[title]["data"]}
    assert changed == {"Accuracy against threshold", "Recall against index size", "Length of posting lists", "Memory by part"}
    assert described(app) != spoken


def test_other_codebooks_make_another_index() -> None:
    app = settled(opened(PAGE, m="1", k="8"))
    before = figures(app)
    app.select_slider(key="k").set_value("16").run()
    assert "Recall@50 · preview" in figures(app)
    after = figures(settled(app))
    assert int(before["Codes in use · fine-tuned"]) <= 8
    assert 8 < int(after["Codes in use · fine-tuned"]) <= 16
    labels_of_lines = [trace.get("name") for trace in charts(app)["Recall against index size"]["data"]]
    assert {"M=1 K=8 fine-tuned", "M=1 K=16 fine-tuned"} <= set(labels_of_lines)


def test_a_threshold_above_every_score_is_put_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    stops_of = stage_module.threshold_stops

    def too_high(index: object, default_threshold: float) -> object:
        stops = stops_of(index, default_threshold)
        stops[-1] = index.scores.max()
        return stops

    monkeypatch.setattr(stage_module, "threshold_stops", too_high)
    app = settled(opened(PAGE, k="8", keep=KEPT.options[-1]))
    assert not app.exception
    assert "above every score" in app.warning[0].value
    assert figures(app)["Recall@50 · fine-tuned"] == "0.000"


def test_short_results_are_counted() -> None:
    app = settled(opened(PAGE, k="8", keep=KEPT.options[-1]))
    assert "test queries get fewer than 50 items" in app.warning[0].value


def test_a_value_of_the_address_that_is_not_possible_is_named() -> None:
    app = opened(PAGE, k="7")
    assert "k = 7" in app.warning[0].value
    assert not app.exception


def test_a_failed_fine_tuning_shows_its_message_beside_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("the loss became nan in epoch 2")

    monkeypatch.setattr(studio_module, "fine_tune_within", fail)
    app = settled(opened(PAGE, k="8"))
    assert "ended with an error: the loss became nan in epoch 2" in markdown(app)
    assert "Recall@50 · preview" in figures(app)
    monkeypatch.setattr(studio_module, "fine_tune_within", fine_tune_within)
    assert "Recall@50 · fine-tuned" in figures(settled(click(app, "Fine-tune again")))


def test_a_failed_backbone_shows_its_message_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    train = backbones_module.train_backbone
    monkeypatch.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
    app = opened(PAGE, k="8")
    assert "division by zero" in app.error[0].value
    monkeypatch.setattr(backbones_module, "train_backbone", train)
    click(app, "Try again")
    ended(own_backbone())
    assert "Recall@50 · preview" in figures(app.run())


def test_a_failed_preview_shows_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio_module, "preview", lambda *arguments: 1 / 0)
    app = settled(opened(PAGE, k="8"))
    assert "division by zero" in app.error[0].value
    assert labels(app) == ["Try again"]


def test_fine_tuning_can_be_cancelled_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def held(*arguments: object) -> object:
        assert gate.wait(PATIENCE)
        return fine_tune_within(*arguments)

    monkeypatch.setattr(studio_module, "fine_tune_within", held)
    app = opened(PAGE, k="8")
    ended(next(job.key for job in studio().jobs.of_owner(app.session_state["owner"]) if job.key.startswith("preview")))
    click(app.run(), "Cancel fine-tuning")
    gate.set()
    ended(tuning_key(studio().run_config(quantizer_config("2", "8"))))
    settled(app).run()
    assert "was cancelled" in markdown(app)
    assert "Recall@50 · fine-tuned" in figures(settled(click(app, "Fine-tune again")))


def test_a_fine_tuning_cut_short_says_so_and_can_be_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(model: object, split: object, config: object, seconds: float, *rest: object) -> object:
        records, _ = fine_tune_within(model, split, config, seconds, *rest)
        return records, seconds < float("inf")

    monkeypatch.setattr(studio_module, "fine_tune_within", cut)
    app = settled(opened(PAGE, k="8"))
    assert "Train all 3 epochs" in labels(app)
    settled(click(app, "Train all 3 epochs"))
    assert "Recall@50 · fine-tuned" in figures(app)
    assert "Train all 3 epochs" not in labels(app)


def test_the_numbers_behind_the_curves_are_there_to_read() -> None:
    app = settled(opened(PAGE, k="8"))
    app.session_state["explorer-numbers"] = True
    app.run()
    (table,) = [frame.value for frame in app.dataframe]
    assert len(table) == len(KEPT.options)
    assert table["Recall@50"].tolist() == studio().seen_stages()[-1].curve.recall.tolist()
