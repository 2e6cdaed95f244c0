from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from app import studio as studio_module
from app.jobs.snapshot import JobSnapshot, JobState
from app.measured.view import View
from app.models import backbones as backbones_module
from app.models.backbones import Backbones, backbone_key
from app.models.live_tuning import fine_tune_within
from app.studio import COMPARISON_KEY, Studio, tuning_key
from sparcode.config import QuantizerConfig, RunConfig
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training.pipeline import train_backbone
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

# Only a broken studio lets a wait take this long.
PATIENCE = 30
SMALL, LARGE = (changed(quantizer={"codebook_size": size, "n_nearest": 2, "kmeans_iterations": 3}) for size in (4, 8))
OTHER = changed(model={"n_tokens": 2, "interaction": "cross"}, quantizer={"codebook_size": 4}, training={"seed": 5})


class HeldTuning:
    """Stands before the fine-tuning: nothing of it happens until it is let go on."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.asked: list[tuple[int, float]] = []

    def __call__(self, model: object, split: object, config: object, seconds: float, *rest: Callable[..., object]) -> object:
        self.asked.append((config.quantizer.codebook_size, seconds))
        assert self.opened.wait(PATIENCE)
        return fine_tune_within(model, split, config, seconds, *rest)


class HeldBackbone:
    """Stands before the training of a backbone: nothing of it happens until it is let go on."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, *arguments: object) -> object:
        assert self.opened.wait(PATIENCE)
        return train_backbone(*arguments)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldBackbone]:
    held = HeldBackbone()
    monkeypatch.setattr(backbones_module, "train_backbone", held)
    yield held
    held.opened.set()


@pytest.fixture
def studio() -> Iterator[Studio]:
    opened = Studio(tiny_data(), CONFIG)
    yield opened
    opened.close()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldTuning]:
    tuning = HeldTuning()
    monkeypatch.setattr(studio_module, "fine_tune_within", tuning)
    yield tuning
    tuning.opened.set()


def ended(studio: Studio, key: str) -> JobSnapshot:
    """The job once it is over."""
    job = studio.jobs.wait(key, lambda snapshot: False, PATIENCE)
    assert job is not None
    assert not job.active
    return job


def key_of(studio: Studio, config: RunConfig) -> str:
    return tuning_key(config)


def with_backbone(studio: Studio) -> None:
    studio.start_backbone("ann")
    assert ended(studio, backbone_key(CONFIG)).state is JobState.DONE


def settled(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """The view once nothing of it changes any more, as a page that looks again and again sees it."""
    for _ in range(20):
        view = studio.view(config, owner, PATIENCE)
        if not view.active:
            return view
        for job in (view.waiting, view.tuning):
            if job is not None and job.active:
                ended(studio, job.key)
    raise AssertionError("the view does not come to rest")


def until_tuning(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """The view as soon as its fine-tuning is under way."""
    for _ in range(20):
        view = studio.view(config, owner, PATIENCE)
        if view.tuning is not None:
            return view
        ended(studio, view.waiting.key)
    raise AssertionError("fine-tuning does not start")


def test_the_first_look_trains_the_backbone_and_measures_it_on_the_test_users(studio: Studio) -> None:
    view = studio.view(SMALL, "ann")
    assert (view.stage, view.waiting.key, view.active) == (None, backbone_key(CONFIG), True)
    assert len(ended(studio, backbone_key(CONFIG)).records) == len(studio.backbone.records) > 0
    assert accuracy(ExactRetriever(studio.backbone.model), tiny_split().test, 50)[:2] == (studio.backbone.recall, studio.backbone.ndcg)


def test_a_preview_appears_then_its_fine_tuning_follows_by_itself(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    view = until_tuning(studio, SMALL)
    assert (view.stage.kind, view.stage.presentable, view.active) == ("preview", True, True)
    assert view.stage.config == SMALL
    held.opened.set()
    tuned = settled(studio, SMALL)
    assert (tuned.stage.kind, tuned.stage.finished, tuned.tuning.state) == ("fine-tuned", True, JobState.DONE)
    assert tuned.preview is view.stage
    assert [record.epoch for record in tuned.stage.records] == [0, 1, 2, 3]
    assert tuned.stage.records == tuned.tuning.records[: len(tuned.stage.records)]


def test_what_was_seen_before_is_there_at_once(studio: Studio, held: HeldTuning) -> None:
    held.opened.set()
    with_backbone(studio)
    first = settled(studio, SMALL)
    settled(studio, LARGE)
    again = studio.view(SMALL, "bob")
    assert again.stage is first.stage
    assert not again.active
    assert [size for size, _ in held.asked] == [4, 8]


def test_a_cancelled_fine_tuning_stays_cancelled_until_it_is_asked_for_again(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL)
    assert studio.cancel_tuning(SMALL, "ann")
    held.opened.set()
    assert ended(studio, key_of(studio, SMALL)).state is JobState.CANCELLED
    view = settled(studio, SMALL)
    assert (view.stage.kind, view.tuning.state) == ("preview", JobState.CANCELLED)
    # Nothing is going to take the preview's place, so the rest of its curve is measured.
    assert view.stage.finished
    studio.retry_tuning(SMALL, "ann")
    assert settled(studio, SMALL).stage.kind == "fine-tuned"


def test_the_last_choice_counts(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL)
    studio.leave(SMALL, "ann")
    held.opened.set()
    assert settled(studio, LARGE).stage.kind == "fine-tuned"
    assert studio.jobs.get(key_of(studio, SMALL)).state is JobState.CANCELLED
    # Leaving is no refusal: whoever comes back gets the fine-tuning.
    assert settled(studio, SMALL).stage.kind == "fine-tuned"


def test_two_owners_share_a_fine_tuning_and_one_cannot_stop_it_for_the_other(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL, "ann")
    assert until_tuning(studio, SMALL, "bob").tuning.owners == {"ann", "bob"}
    studio.cancel_tuning(SMALL, "ann")
    assert studio.view(SMALL, "ann").tuning.owners == {"bob"}
    held.opened.set()
    assert settled(studio, SMALL, "bob").stage.kind == "fine-tuned"
    assert studio.view(SMALL, "ann").stage.kind == "fine-tuned"
    assert len(held.asked) == 1


def test_an_owner_who_refused_is_not_joined_to_the_fine_tuning_of_another(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL, "ann")
    studio.cancel_tuning(SMALL, "ann")
    assert until_tuning(studio, SMALL, "bob").tuning.owners == {"bob"}
    assert not studio.cancel_tuning(SMALL, "ann")


def test_a_failed_fine_tuning_keeps_its_text_and_the_preview(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("the loss became nan in epoch 1")

    monkeypatch.setattr(studio_module, "fine_tune_within", fail)
    with_backbone(studio)
    view = settled(studio, SMALL)
    assert (view.stage.kind, view.stage.finished) == ("preview", True)
    assert (view.tuning.state, view.tuning.error) == (JobState.FAILED, "the loss became nan in epoch 1")
    monkeypatch.undo()
    studio.retry_tuning(SMALL, "ann")
    assert settled(studio, SMALL).stage.kind == "fine-tuned"


def test_a_failed_backbone_is_not_trained_again_by_itself(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("no memory")

    monkeypatch.setattr(backbones_module, "train_backbone", fail)
    view = settled(studio, SMALL)
    assert (view.stage, view.waiting.state, view.waiting.error) == (None, JobState.FAILED, "no memory")
    monkeypatch.undo()
    studio.backbones.retry(SMALL, "ann")
    assert settled(studio, SMALL).stage.kind == "fine-tuned"


def test_the_time_of_the_preview_counts_against_the_fine_tuning(studio: Studio, held: HeldTuning) -> None:
    held.opened.set()
    with_backbone(studio)
    settled(studio, SMALL)
    ((_, seconds),) = held.asked
    assert studio_module.LEAST_TUNING_SECONDS <= seconds < studio_module.LIVE_SECONDS


def test_a_fine_tuning_cut_short_can_be_made_whole(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_epoch(model: object, split: object, config: object, seconds: float, *rest: Callable[..., object]) -> object:
        records, _ = fine_tune_within(model, split, config, seconds, *rest)
        return (records, False) if seconds == float("inf") else (records[:2], True)

    monkeypatch.setattr(studio_module, "fine_tune_within", one_epoch)
    with_backbone(studio)
    short = settled(studio, SMALL)
    assert short.stage.cut_short
    job = studio.start_tuning(SMALL, "ann", full=True)
    assert job.label.endswith("for all 3 epochs")
    whole = settled(studio, SMALL)
    assert not whole.stage.cut_short
    assert len(whole.stage.records) == 4


def test_the_comparison_trains_all_epochs_and_the_explorer_takes_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def cut(model: object, split: object, config: object, seconds: float, *rest: Callable[..., object]) -> object:
        asked.append(seconds)
        records, _ = fine_tune_within(model, split, config, seconds, *rest)
        return records, seconds < float("inf")

    monkeypatch.setattr(studio_module, "fine_tune_within", cut)
    studio = Studio(tiny_data(), changed(quantizer={"codebook_size": 4}))
    assert settled(studio, studio.config).stage.cut_short
    studio.start_comparison("ann")
    assert ended(studio, COMPARISON_KEY).state is JobState.DONE
    assert asked[-1] == float("inf")
    shown = settled(studio, studio.config).stage
    assert not shown.cut_short
    at_its_threshold = shown.explorer.at(shown.explorer.default_threshold)
    assert studio.comparison.rows[0].result.recall == at_its_threshold.recall
    studio.close()


def test_a_comparison_without_a_backbone_says_so(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones_module, "train_backbone", lambda *arguments: 1 / 0)
    studio.start_comparison("ann")
    assert "backbone was not trained" in ended(studio, COMPARISON_KEY).error


def test_other_settings_stay_the_studios_own(studio: Studio) -> None:
    config = studio.run_config(QuantizerConfig(codebook_size=8))
    assert config.quantizer == QuantizerConfig(codebook_size=8)
    assert config.model_dump(exclude={"quantizer"}) == CONFIG.model_dump(exclude={"quantizer"})
    assert studio.run_config() == CONFIG
    assert studio.run_config(model=OTHER.model, seed=5, quantizer=OTHER.quantizer) == OTHER


def test_each_choice_of_networks_or_seed_has_a_backbone_of_its_own(studio: Studio) -> None:
    with_backbone(studio)
    view = studio.view(OTHER, "ann")
    assert (view.stage, view.waiting.key, view.active) == (None, backbone_key(OTHER), True)
    assert settled(studio, OTHER).stage.config == OTHER
    other, own = studio.backbones.of(OTHER), studio.backbone
    assert (len(other.records), other.model.tokenizer.n_tokens) == (len(own.records), 2)
    # Both are kept, and settings that differ in codes alone share one.
    assert studio.backbones.of(SMALL) is studio.backbones.of(LARGE) is own


def test_a_backbone_forgotten_for_want_of_memory_is_trained_again_but_its_trained_settings_need_it_no_more(studio: Studio) -> None:
    studio.backbones = Backbones(studio.split, studio.jobs, studio_module.TRAINING, max_bytes=1)
    seen = settled(studio, SMALL)
    settled(studio, OTHER)
    assert studio.backbones.of(SMALL) is None
    assert studio.view(SMALL, "ann").stage is seen.stage
    assert studio.best_measured(SMALL) is seen.stage
    assert settled(studio, LARGE).stage.kind == "fine-tuned"


def test_leaving_for_other_networks_stops_a_backbone_and_coming_back_starts_it(studio: Studio, gate: HeldBackbone) -> None:
    studio.view(OTHER, "ann")
    studio.leave(OTHER, "ann", to=changed(model=OTHER.model.model_dump(), training={"seed": 5}))
    assert studio.jobs.get(backbone_key(OTHER)).active
    studio.leave(OTHER, "ann", to=SMALL)
    gate.opened.set()
    assert ended(studio, backbone_key(OTHER)).state is JobState.CANCELLED
    assert settled(studio, OTHER).stage is not None


def test_a_cancelled_backbone_stays_cancelled_until_it_is_asked_for_again(studio: Studio, gate: HeldBackbone) -> None:
    studio.view(OTHER, "ann")
    assert studio.backbones.cancel(OTHER, "ann")
    gate.opened.set()
    ended(studio, backbone_key(OTHER))
    view = studio.view(OTHER, "ann")
    assert (view.stage, view.waiting.state, view.active) == (None, JobState.CANCELLED, False)
    studio.backbones.retry(OTHER, "ann")
    assert settled(studio, OTHER).stage is not None


def test_the_best_index_in_memory_is_found_without_starting_anything(studio: Studio) -> None:
    assert studio.best_measured(SMALL) is None
    assert studio.jobs.of_owner("ann") == []
