"""The Explorer on a setting whose figures are recorded and whose model is not there."""

from __future__ import annotations

import json
import threading

import pytest
from streamlit.testing.v1 import AppTest

from app.measured.figures import figure_text
from app.measured.recorded_figures import RecordedFigures
from app.models import backbones as backbones_module
from app.models.backbones import backbone_key
from app.recorded.figures import read_figures
from app.session.settings import KEPT
from scripts.record_figures import figures_entry
from sparcode.config import RunConfig
from tests.fakes import gated
from tests.pages.opened_pages import (
    charts,
    click,
    config_of,
    control,
    ended,
    figures,
    markdown,
    opened,
    settled,
    slider,
    studio,
    tiles,
    visited,
)
from tests.tiny import tiny_studio_settings

pytestmark = pytest.mark.usefixtures("tiny_app")
PAGE = "index_explorer.py"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Backbones of other settings than the studio's own are trained once this is set."""
    opens = threading.Event()
    train, held = backbones_module.train_backbone, gated(backbones_module.train_backbone, opens)

    def own_at_once(split: object, config: RunConfig, *rest: object) -> object:
        return (train if config.model == tiny_studio_settings().model else held)(split, config, *rest)

    monkeypatch.setattr(backbones_module, "train_backbone", own_at_once)
    return opens


def with_recorded(monkeypatch: pytest.MonkeyPatch, config: RunConfig) -> RecordedFigures:
    """The figures of a setting, recorded for the studio's data."""
    entry = figures_entry(studio().split, config, studio().interactions.content_hash())
    recorded = read_figures(entry, config)
    monkeypatch.setattr(studio().recorded, "figures", lambda asked: recorded if asked.model == config.model else None)
    return recorded


def said(app: AppTest) -> str:
    return "\n".join([markdown(app), *(caption.value for caption in app.caption), *(info.value for info in app.info)])


def test_recorded_figures_of_another_encoder_are_there_at_once_and_follow_the_threshold(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = settled(opened(PAGE, k="8"))
    before = tiles(app)["recall"]["value"]
    recorded = with_recorded(monkeypatch, config_of(k="8", encoder="gru"))
    control(app.selectbox, "encoder").set_value("gru").run()
    assert not app.exception
    stop = KEPT.options.index(KEPT.start)
    then = recorded.figures(stop)
    shown = figures(app)
    assert shown["Recall@50 · recorded"] == figure_text("recall", then.recall)
    assert shown["Index size · recorded"] == figure_text("size_bytes", then.size_bytes)
    assert shown["Latency, median · recorded"] == figure_text("p50_ms", then.p50_ms)
    assert shown["Codes in use · recorded"] == f"{then.codes_in_use:,}"
    # In grey, the setting before, whose figures the differences are to.
    assert shown["Recall@50 · fine-tuned"] == before
    assert "In grey the setting before: **M=1 K=8, " in said(app)
    assert "Figures of this setting, recorded on" in said(app)
    assert f"the backbone took {recorded.backbone_seconds:.0f} s of one core" in said(app)
    assert list(charts(app)) == [
        "Accuracy against threshold",
        "Recall against index size",
        "Recall against latency",
        "Training the backbone",
    ]
    given = json.loads(slider(app)["curve"])
    assert given["stops"] == list(range(len(KEPT.options)))
    assert slider(app)["note"] == f"{len(KEPT.options)} recorded thresholds"
    # Another threshold: the same texts as those that the browser shows while it is dragged.
    app.session_state["keep"] = KEPT.options[41]
    app.run()
    assert figures(app)["Recall@50 · recorded"] == given["tiles"]["recall"]["value"][41]
    assert figures(app)["Latency, median · recorded"] == given["tiles"]["p50_ms"]["value"][41]
    gate.set()
    ended(backbone_key(config_of(k="8", encoder="gru")))
    settled(app)
    assert "Recall@50 · recorded" not in figures(app)
    assert figures(app)["Recall@50 · fine-tuned"] == tiles(app)["recall"]["value"]
    assert f"Recorded {recorded.recording.day_words} for this setting and threshold: Recall@50 **" in said(app)
    assert "In grey the setting before" not in said(app)


def test_recorded_figures_of_other_codes_stand_in_where_the_backbone_is_missing_and_say_so(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = settled(opened(PAGE, k="8"))
    recorded = with_recorded(monkeypatch, config_of(k="8", encoder="gru"))
    app.session_state["k"] = "16"
    app.run()
    control(app.selectbox, "encoder").set_value("gru").run()
    assert "Figures of this encoder and interaction at **M=1 K=8 gru**" in said(app)
    assert figures(app)["Recall@50 · recorded"] == figure_text("recall", recorded.figures(KEPT.options.index(KEPT.start)).recall)
    click(app, "Cancel training")
    gate.set()
    ended(backbone_key(config_of(k="16", encoder="gru")))
    app.run()
    assert "was cancelled" in app.warning[0].value
    assert "Recall@50 · recorded" in figures(app)


def test_a_link_to_another_encoder_opens_with_its_recorded_figures(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(PAGE, k="8")
    with_recorded(monkeypatch, config_of(k="8", encoder="gru"))
    app = visited(PAGE, k="8", encoder="gru")
    assert "Recall@50 · recorded" in figures(app)
    assert "In grey" not in said(app)
    assert "Differences are to the setting before" not in said(app)
    gate.set()


def test_without_a_recording_the_figures_before_stay_alone(gate: threading.Event) -> None:
    app = settled(opened(PAGE, k="8"))
    control(app.selectbox, "encoder").set_value("gru").run()
    assert "Recall@50 · recorded" not in figures(app)
    assert "In grey the setting before" in said(app)
    gate.set()
