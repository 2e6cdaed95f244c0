"""Everything one process holds for its visitors: the data, trained models, measured indexes, and the jobs that make them."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import torch

from app.bounded_cache import BoundedCache
from app.comparison import Comparison, Step, compare
from app.jobs import JobHandle, JobManager, JobSnapshot, JobState
from app.stage import Origin, Stage, measure
from sparcode.config import QuantizerConfig, RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import split_users
from sparcode.evaluation import accuracy
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.pipeline import fine_tune, preview, train_backbone
from sparcode.retrieval import ExactRetriever
from sparcode.training import EpochRecord

K: Final = 50
STAGES_BYTES: Final = 640 * 2**20
MODELS_BYTES: Final = 128 * 2**20
TRAINING: Final = "training"
PREVIEWS: Final = "previews"
BACKBONE_KEY: Final = "backbone"
COMPARISON_KEY: Final = "comparison"
FIRST_FIGURES: Final = "first figures"
_TUNING_PREFIX: Final = "fine-tuning/"


class Backbone(NamedTuple):
    """The continuous all-to-all model that every preview starts from.

    Attributes
    ----------
    model
        Trained.
    records
        Its epochs.
    recall, ndcg
        At 50 on the test users, scoring every item: what codes can reach at best.
    seconds
        Training time.
    """

    model: AllToAllModel
    records: tuple[EpochRecord, ...]
    recall: float
    ndcg: float
    seconds: float


class Tuned(NamedTuple):
    """A fine-tuned model and its epochs."""

    model: SparCodeModel
    records: tuple[EpochRecord, ...]
    seconds: float


class View(NamedTuple):
    """What there is to show for one setting, and what is under way.

    Attributes
    ----------
    config
        The setting.
    stage
        The best one known; None before the first figures.
    preview
        The preview's stage, for comparison; None if it is not known (any more).
    waiting
        The job that first figures, or the rest of them, wait for; None if there is none.
    tuning
        The fine-tuning job of this setting; None if there never was one.
    active
        Whether anything shown may still change by itself.
    """

    config: RunConfig
    stage: Stage | None
    preview: Stage | None
    waiting: JobSnapshot | None
    tuning: JobSnapshot | None
    active: bool


class Studio:
    """Data, models, measured indexes and jobs of one process. Safe to share between threads.

    Parameters
    ----------
    interactions
        The data set.
    config
        Settings of everything but the quantizer, which visitors choose.
    """

    def __init__(self, interactions: Interactions, config: RunConfig) -> None:
        self.interactions, self.config = interactions, config
        self.split = split_users(interactions, config.split)
        # One training at a time and one core each leave a core for the pages.
        self.jobs = JobManager({TRAINING: 1, PREVIEWS: 1}, on_worker_start=lambda: torch.set_num_threads(1))
        self.backbone: Backbone | None = None
        self.comparison: Comparison | None = None
        self._refused: set[tuple[str, str]] = set()
        self._models = BoundedCache(MODELS_BYTES)
        self._stages = BoundedCache(STAGES_BYTES)

    @property
    def machine(self) -> str:
        """What figures are measured on, in words."""
        return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, 1 thread used"

    def run_config(self, quantizer: QuantizerConfig) -> RunConfig:
        """The studio's settings with another quantizer."""
        return RunConfig(**{**dict(self.config), "quantizer": quantizer})

    def seen_stages(self) -> list[Stage]:
        """Every measured index still in memory, the last used at the end."""
        return self._stages.values()

    def start_backbone(self, owner: str) -> JobSnapshot:
        """Train the backbone in the background, or join the training under way."""
        return self.jobs.submit(BACKBONE_KEY, "training the all-to-all backbone", self._train_backbone, owner, TRAINING)

    def start_comparison(self, owner: str) -> JobSnapshot:
        """Train and measure the peers in the background, or join the work under way; the backbone comes first if it is not there."""
        if self.backbone is None:
            self.start_backbone(owner)
        return self.jobs.submit(COMPARISON_KEY, "comparison of models", self._compare, owner, TRAINING)

    def start_tuning(self, quantizer: QuantizerConfig, owner: str) -> JobSnapshot:
        """Fine-tune the preview of a setting in the background, or join the training under way."""
        config = self.run_config(quantizer)
        label = f"fine-tuning M = {quantizer.n_codebooks}, K = {quantizer.codebook_size}"
        return self.jobs.submit(tuning_key(config), label, lambda handle: self._fine_tune(config, handle), owner, TRAINING)

    def view(self, quantizer: QuantizerConfig, owner: str, wait_seconds: float = 0.0) -> View:
        """What there is for one setting; starts what is missing: backbone, then preview, then fine-tuning.

        A failed job, or fine-tuning that this owner cancelled, is not started again by itself. Fine-tuning of other settings that only
        this owner asked for is cancelled: the last choice counts.

        Parameters
        ----------
        quantizer
            The setting.
        owner
            Who looks.
        wait_seconds
            How long to wait at most for the first figures.
        """
        config = self.run_config(quantizer)
        self._leave_others(config, owner)
        if self.backbone is None:
            job = self.jobs.get(BACKBONE_KEY)
            job = self.start_backbone(owner) if job is None or job.state is JobState.DONE else job
            return View(config, None, None, job, None, job.active)
        tuning = self.jobs.get(tuning_key(config))
        previewed = self._stages.get(("preview", config.content_hash()))
        tuned = self._measured(config, "fine-tuned", owner, wait_seconds)
        if tuned.stage is not None:
            return View(config, tuned.stage, previewed, tuned.job, tuning, _is_active(tuning) or _is_active(tuned.job))
        found = self._measured(config, "preview", owner, wait_seconds)
        if found.job is None and self._wants_tuning(config, tuning, owner):
            tuning = self.start_tuning(quantizer, owner)
        jobs = (found.job, tuned.job, tuning)
        return View(config, found.stage, found.stage, found.job or tuned.job, tuning, any(map(_is_active, jobs)))

    def cancel_tuning(self, quantizer: QuantizerConfig, owner: str) -> bool:
        """Stop the fine-tuning of a setting for this owner, until `retry_tuning`; it goes on if others want it too."""
        key = tuning_key(self.run_config(quantizer))
        self._refused.add((key, owner))
        return self.jobs.cancel(key, owner)

    def retry_tuning(self, quantizer: QuantizerConfig, owner: str) -> None:
        """Let the next `view` start the fine-tuning again after a cancel or a failure."""
        key = tuning_key(self.run_config(quantizer))
        self._refused.discard((key, owner))
        self.jobs.forget(key)

    def close(self) -> None:
        """Stop all jobs."""
        self.jobs.close()

    def _leave_others(self, config: RunConfig, owner: str) -> None:
        for job in self.jobs.of_owner(owner):
            if job.active and job.key.startswith(_TUNING_PREFIX) and job.key != tuning_key(config):
                self.jobs.cancel(job.key, owner)

    def _wants_tuning(self, config: RunConfig, tuning: JobSnapshot | None, owner: str) -> bool:
        if config.training.joint_epochs == 0 or (tuning_key(config), owner) in self._refused:
            return False
        if tuning is None or tuning.state in (JobState.CANCELLED, JobState.DONE):
            return self._models.get(config.content_hash()) is None
        return tuning.active and owner not in tuning.owners

    def _measured(self, config: RunConfig, kind: str, owner: str, wait_seconds: float) -> _Measured:
        """The stage of a kind, and the job that it still waits for; starts that job if there is a model to measure."""
        run = config.content_hash()
        stage = self._stages.get((kind, run))
        tuning = self.jobs.get(tuning_key(config))
        measured_there = kind == "fine-tuned" and _is_active(tuning)
        if measured_there or (stage is not None and stage.finished):
            return _Measured(stage, None)
        if kind == "fine-tuned" and self._models.get(run) is None:
            return _Measured(None, None)
        key = f"{kind}/{run}"
        job = self.jobs.get(key)
        if job is None or job.state in (JobState.DONE, JobState.CANCELLED):
            work = self._preview if kind == "preview" else self._measure_tuned
            label = f"{kind} of M = {config.quantizer.n_codebooks}, K = {config.quantizer.codebook_size}"
            job = self.jobs.submit(key, label, lambda handle: work(config, handle), owner, PREVIEWS)
        if stage is None:
            job = self.jobs.wait(key, lambda snapshot: FIRST_FIGURES in snapshot.records, wait_seconds)
            stage = self._stages.get((kind, run))
        return _Measured(stage, None if job is None or job.state is JobState.DONE else job)

    def _keep(self, stage: Stage, handle: JobHandle) -> None:
        self._stages.put((stage.kind, stage.config.content_hash()), stage, stage.n_bytes)
        handle.publish(FIRST_FIGURES)

    def _train_backbone(self, handle: JobHandle) -> None:
        if self.backbone is not None:
            return
        started = time.perf_counter()
        model, records = train_backbone(self.split, self.config, handle.publish, handle.should_stop)
        handle.check()
        seconds = time.perf_counter() - started
        recall, ndcg, _ = accuracy(ExactRetriever(model), self.split.test, K)
        self.backbone = Backbone(model, tuple(records), recall, ndcg, seconds)

    def _preview(self, config: RunConfig, handle: JobHandle) -> None:
        started = time.perf_counter()
        model = preview(self.backbone.model, self.split, config)
        handle.check()
        origin = Origin("preview", config, (), lambda: time.perf_counter() - started)
        measure(model, origin, self.split, lambda stage: self._keep(stage, handle), handle.check)

    def _fine_tune(self, config: RunConfig, handle: JobHandle) -> None:
        tuned = self._tuned(config, handle.publish, handle)
        self._measure(config, tuned, handle)

    def _measure_tuned(self, config: RunConfig, handle: JobHandle) -> None:
        self._measure(config, self._models.get(config.content_hash()), handle)

    def _measure(self, config: RunConfig, tuned: Tuned, handle: JobHandle) -> None:
        origin = Origin("fine-tuned", config, tuned.records, lambda: tuned.seconds)
        measure(tuned.model, origin, self.split, lambda stage: self._keep(stage, handle), handle.check)

    def _tuned(self, config: RunConfig, on_epoch: Callable[[EpochRecord], None], handle: JobHandle) -> Tuned:
        known = self._models.get(config.content_hash())
        if known is not None:
            return known
        started = time.perf_counter()
        model = preview(self.backbone.model, self.split, config)
        records = fine_tune(model, self.split, config, on_epoch, handle.should_stop)
        handle.check()
        tuned = Tuned(model, tuple(records), time.perf_counter() - started)
        self._models.put(config.content_hash(), tuned, sum(value.nbytes for value in model.state_dict().values()))
        return tuned

    def _compare(self, handle: JobHandle) -> None:
        if self.backbone is None:
            raise ValueError("the backbone was not trained, so there is nothing to compare")
        tuned = self._tuned(self.config, lambda record: handle.publish(Step("fine-tuning SparCode", record)), handle)
        self.comparison = compare(self.split, self.config, self.backbone, tuned, handle)


class _Measured(NamedTuple):
    stage: Stage | None
    job: JobSnapshot | None


def _is_active(job: JobSnapshot | None) -> bool:
    return job is not None and job.active


def tuning_key(config: RunConfig) -> str:
    """Key of the job that fine-tunes a setting."""
    return f"{_TUNING_PREFIX}{config.content_hash()}"
