from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from app.jobs.job import JobState
from app.jobs.turns import page_turns
from app.measured.indexes import MeasuredIndexes
from app.measured.measured_index import MeasuredIndex
from app.measured.setting_jobs import LEAST_TUNING_SECONDS, LIVE_SECONDS, TIMING, TRAINING, SettingJobs, View, keys_of, tuning_key
from app.models import backbones as backbones_module
from app.models import tuned as tuned_module
from app.models.backbones import Backbones, backbone_key
from app.models.tuned import TunedModels, fine_tune_within
from app.studio import Studio
from sparcode.config import RunConfig
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training.pipeline import train_backbone
from tests.app.open_studio import ended, looked_at, settled, tuned_in_part, tuned_too_late
from tests.fakes import PATIENCE, gated, raising
from tests.tiny import CONFIG, changed, tiny_data, tiny_split

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


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No backbone is trained until it is set."""
    opened = threading.Event()
    monkeypatch.setattr(backbones_module, "train_backbone", gated(train_backbone, opened))
    yield opened
    opened.set()


@pytest.fixture
def studio() -> Iterator[Studio]:
    opened = Studio(tiny_data(), CONFIG)
    yield opened
    opened.close()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldTuning]:
    tuning = HeldTuning()
    monkeypatch.setattr(tuned_module, "fine_tune_within", tuning)
    yield tuning
    tuning.opened.set()


def with_backbone(studio: Studio) -> None:
    studio.backbones.start(CONFIG, "ann")
    assert ended(studio, backbone_key(CONFIG)).state is JobState.DONE


def until_tuning(studio: Studio, config: RunConfig, owner: str = "ann") -> View:
    """The view as soon as its fine-tuning is under way."""
    for _ in range(20):
        view = looked_at(studio, config, owner)
        if view.tuning is not None:
            return view
        if view.waiting is not None:
            ended(studio, view.waiting.key)
    raise AssertionError("fine-tuning does not start")


def test_looking_starts_nothing(studio: Studio) -> None:
    assert studio.setting_jobs.view(SMALL) == View(SMALL, None, None, None, None, active=False, had_no_time=False)
    assert studio.indexes.best(SMALL) is None
    with_backbone(studio)
    assert not studio.setting_jobs.view(SMALL).active
    assert [studio.jobs.get(key) for key in keys_of(SMALL) - {backbone_key(SMALL)}] == [None] * 3


def test_the_backbone_comes_first_and_is_measured_on_the_test_users(studio: Studio) -> None:
    view = looked_at(studio, SMALL)
    assert (view.measured, view.waiting.key, view.active) == (None, backbone_key(CONFIG), True)
    assert len(ended(studio, backbone_key(CONFIG)).records) == len(studio.backbone.records) > 0
    assert accuracy(ExactRetriever(studio.backbone.model), tiny_split().test, 50)[:2] == (studio.backbone.recall, studio.backbone.ndcg)


def test_a_preview_appears_then_its_fine_tuning_follows_by_itself(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    view = until_tuning(studio, SMALL)
    assert (view.measured.kind, view.measured.presentable, view.active) == ("preview", True, True)
    assert view.measured.config == SMALL
    held.opened.set()
    tuned = settled(studio, SMALL)
    assert (tuned.measured.kind, tuned.measured.finished, tuned.tuning.state) == ("fine-tuned", True, JobState.DONE)
    assert tuned.preview is view.measured
    assert [record.epoch for record in tuned.measured.records] == [0, 1, 2, 3]
    assert tuned.measured.records == tuned.tuning.records[: len(tuned.measured.records)]
    ((_, seconds),) = held.asked
    # The time of the preview counts against the fine-tuning.
    assert LEAST_TUNING_SECONDS <= seconds < LIVE_SECONDS


def test_a_page_looks_again_although_the_job_it_waited_for_has_ended(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    with_backbone(studio)
    wait = studio.jobs.wait
    monkeypatch.setattr(studio.jobs, "wait", lambda key, until, seconds: wait(key, lambda snapshot: False, PATIENCE))
    view = studio.setting_jobs.follow(SMALL, "ann", 1.0)
    # Fine-tuning is the next step, which the next look starts.
    assert (view.measured.kind, view.waiting, view.tuning, view.active) == ("preview", None, None, True)


def test_what_was_seen_before_is_there_at_once(studio: Studio, held: HeldTuning) -> None:
    held.opened.set()
    with_backbone(studio)
    first = settled(studio, SMALL)
    settled(studio, LARGE)
    again = looked_at(studio, SMALL, "bob")
    assert (again.measured, again.active) == (first.measured, False)
    assert [size for size, _ in held.asked] == [4, 8]


def test_a_cancelled_fine_tuning_stays_cancelled_until_it_is_asked_for_again(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL)
    assert studio.setting_jobs.cancel_tuning(SMALL, "ann")
    held.opened.set()
    view = settled(studio, SMALL)
    assert (view.measured.kind, view.tuning.state) == ("preview", JobState.CANCELLED)
    # Nothing is going to take the preview's place, so the rest of its curve is measured.
    assert view.measured.finished
    studio.setting_jobs.retry_tuning(SMALL, "ann")
    assert settled(studio, SMALL).measured.kind == "fine-tuned"


def test_the_last_choice_counts_and_leaving_is_no_refusal(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL)
    studio.setting_jobs.leave(SMALL, "ann", to=LARGE)
    held.opened.set()
    assert settled(studio, LARGE).measured.kind == "fine-tuned"
    assert studio.jobs.get(tuning_key(SMALL)).state is JobState.CANCELLED
    assert settled(studio, SMALL).measured.kind == "fine-tuned"


def test_owners_share_a_fine_tuning_and_one_who_refused_is_not_joined_to_it_again(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL, "ann")
    assert until_tuning(studio, SMALL, "bob").tuning.owners == {"ann", "bob"}
    studio.setting_jobs.cancel_tuning(SMALL, "ann")
    assert looked_at(studio, SMALL, "ann").tuning.owners == {"bob"}
    # Whoever changes their mind joins it.
    studio.setting_jobs.retry_tuning(SMALL, "ann")
    assert looked_at(studio, SMALL, "ann").tuning.owners == {"ann", "bob"}
    held.opened.set()
    assert settled(studio, SMALL, "bob").measured.kind == "fine-tuned"
    assert len(held.asked) == 1


def test_a_failed_fine_tuning_keeps_its_text_and_the_preview(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_module, "fine_tune_within", raising(ValueError("the loss became nan in epoch 1")))
    with_backbone(studio)
    view = settled(studio, SMALL)
    assert (view.measured.kind, view.measured.finished) == ("preview", True)
    assert (view.tuning.state, view.tuning.error) == (JobState.FAILED, "the loss became nan in epoch 1")
    monkeypatch.undo()
    studio.setting_jobs.retry_tuning(SMALL, "ann")
    assert settled(studio, SMALL).measured.kind == "fine-tuned"


def test_a_failed_backbone_is_not_trained_again_by_itself(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones_module, "train_backbone", raising(ValueError("no memory")))
    view = settled(studio, SMALL)
    assert (view.measured, view.waiting.state, view.waiting.error) == (None, JobState.FAILED, "no memory")
    monkeypatch.undo()
    studio.backbones.retry(SMALL, "ann")
    assert settled(studio, SMALL).measured.kind == "fine-tuned"


def test_a_fine_tuning_cut_short_can_be_made_whole(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuned_module, "fine_tune_within", tuned_in_part)
    with_backbone(studio)
    assert settled(studio, SMALL).measured.cut_short
    job = studio.setting_jobs.start_tuning(SMALL, "ann", full=True)
    assert job.label.endswith("for all 3 epochs")
    whole = settled(studio, SMALL)
    assert not whole.measured.cut_short
    assert len(whole.measured.records) == 4


def test_fine_tuning_without_time_for_a_batch_leaves_a_preview_and_can_be_made_whole(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned_module, "fine_tune_within", tuned_too_late)
    with_backbone(studio)
    view = settled(studio, SMALL)
    assert (view.measured.kind, view.measured.finished, view.had_no_time) == ("preview", True, True)
    assert (view.tuning.state, studio.indexes.get("fine-tuned", SMALL)) == (JobState.DONE, None)
    studio.setting_jobs.start_tuning(SMALL, "ann", full=True)
    whole = settled(studio, SMALL)
    assert (whole.measured.kind, whole.had_no_time) == ("fine-tuned", False)


def test_each_choice_of_networks_or_seed_has_a_backbone_of_its_own(studio: Studio) -> None:
    with_backbone(studio)
    view = looked_at(studio, OTHER)
    assert (view.measured, view.waiting.key, view.active) == (None, backbone_key(OTHER), True)
    assert settled(studio, OTHER).measured.config == OTHER
    other, own = studio.backbones.of(OTHER), studio.backbone
    assert (len(other.records), other.model.tokenizer.n_tokens) == (len(own.records), 2)
    # Both are kept, and settings that differ in codes alone share one.
    assert studio.backbones.of(SMALL) is studio.backbones.of(LARGE) is own


def test_a_backbone_forgotten_for_want_of_memory_is_trained_again_but_its_trained_settings_need_it_no_more(studio: Studio) -> None:
    studio.backbones = Backbones(studio.split, studio.jobs, TRAINING, max_bytes=1)
    studio.tuned = TunedModels(studio.split, studio.backbones, lambda config: None, 2**20)
    studio.indexes = MeasuredIndexes(studio.split, studio.backbones, 2**20)
    studio.setting_jobs = SettingJobs(studio.jobs, studio.backbones, studio.tuned, studio.indexes, studio.at_work)
    seen = settled(studio, SMALL)
    settled(studio, OTHER)
    assert studio.backbones.of(SMALL) is None
    assert looked_at(studio, SMALL).measured is studio.indexes.best(SMALL) is seen.measured
    assert settled(studio, LARGE).measured.kind == "fine-tuned"


def test_leaving_for_other_networks_stops_a_backbone_and_coming_back_starts_it(studio: Studio, gate: threading.Event) -> None:
    looked_at(studio, OTHER)
    studio.setting_jobs.leave(OTHER, "ann", to=changed(model=OTHER.model.model_dump(), training={"seed": 5}))
    assert studio.jobs.get(backbone_key(OTHER)).active
    studio.setting_jobs.leave(OTHER, "ann", to=SMALL)
    gate.set()
    assert ended(studio, backbone_key(OTHER)).state is JobState.CANCELLED
    assert settled(studio, OTHER).measured is not None


def test_a_cancelled_backbone_stays_cancelled_until_it_is_asked_for_again(studio: Studio, gate: threading.Event) -> None:
    looked_at(studio, OTHER)
    assert studio.backbones.cancel(OTHER, "ann")
    gate.set()
    view = looked_at(studio, OTHER)
    assert (view.measured, view.waiting.state, view.active) == (None, JobState.CANCELLED, False)
    studio.backbones.retry(OTHER, "ann")
    assert settled(studio, OTHER).measured is not None


def test_all_epochs_are_trained_at_the_first_ask_while_a_shorter_training_is_still_under_way(studio: Studio, held: HeldTuning) -> None:
    with_backbone(studio)
    until_tuning(studio, SMALL)
    started = studio.setting_jobs.start_tuning(SMALL, "ann", full=True)
    assert started.label.endswith(f"for all {SMALL.training.joint_epochs} epochs")
    held.opened.set()
    assert ended(studio, tuning_key(SMALL)).state is JobState.DONE
    assert held.asked[-1] == (4, float("inf"))
    assert not looked_at(studio, SMALL, "ann").measured.cut_short


class HeldTiming:
    """Stands before the timing of queries, which waits until it is let go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.timed = threading.Event(), []
        monkeypatch.setattr(MeasuredIndex, "latency", self._latency())

    def _latency(self) -> Callable[..., object]:
        whole = MeasuredIndex.latency

        def latency(measured: MeasuredIndex, stop: int, busy: bool) -> object:
            assert self.opened.wait(PATIENCE)
            self.timed.append((stop, busy))
            return whole(measured, stop, busy)

        return latency


def test_nobody_waits_for_a_timing_that_takes_long_and_the_last_stop_asked_for_is_timed(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = settled(studio, SMALL).measured
    held, (first, overtaken, last) = HeldTiming(monkeypatch), (1, 2, 3)
    for stop in (first, overtaken, last):
        assert studio.setting_jobs.latency(measured, stop, "ann") is None
    assert studio.at_work() == set()
    held.opened.set()
    ended(studio, f"{TIMING}/shown/ann")
    assert [stop for stop, _ in held.timed] == [first, last]
    assert studio.setting_jobs.latency(measured, last, "ann") is measured.latencies()[last]
    assert studio.setting_jobs.latency(measured, overtaken, "bob") is not None


def test_what_was_timed_beside_jobs_is_timed_again_once_there_are_none(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = settled(studio, SMALL).measured
    measured.latency(5, busy=True)
    monkeypatch.setattr(studio.setting_jobs, "_at_work", lambda: {"a job"})
    assert studio.setting_jobs.latency(measured, 5, "ann").busy
    monkeypatch.setattr(studio.setting_jobs, "_at_work", set)
    studio.setting_jobs.latency(measured, 5, "ann")
    ended(studio, f"{TIMING}/shown/ann")
    assert not measured.latencies()[5].busy


def test_nothing_is_timed_while_many_pages_are_being_drawn(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = settled(studio, SMALL).measured
    monkeypatch.setattr(page_turns, "all_taken", lambda: True)
    assert studio.setting_jobs.latency(measured, 7, "ann") is None
    assert studio.jobs.get(f"{TIMING}/shown/ann") is None
