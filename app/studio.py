"""Everything one process holds for its visitors: the data, trained models, measured indexes, and the jobs that make them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import torch

from app.jobs.bounded_cache import BoundedCache
from app.jobs.manager import JobHandle, JobManager, Work
from app.jobs.snapshot import JobSnapshot, JobState
from app.jobs.viewers import Viewers
from app.measured.comparison import Comparison, Step, compare
from app.measured.job_keys import measuring_key, setting_words, tuning_key
from app.measured.measured_index import Kind, MeasuredIndex, Training, measure, refine, time_stops
from app.measured.serving import ServingMeasurements
from app.measured.view import View
from app.models.backbones import Backbones, backbone_key
from app.models.live_tuning import fine_tune_within
from app.models.trained import Backbone, Tuned
from app.models.tuned import TunedModels
from app.recorded.runs import RecordedRuns
from app.training.session import FROM_SCRATCH, TrainingSession
from sparcode.config import ModelConfig, QuantizerConfig, RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import split_users
from sparcode.device import device_of
from sparcode.runs.machine import machine_facts
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import preview

INDEXES_BYTES: Final = 640 * 2**20
MODELS_BYTES: Final = 128 * 2**20
TRAINING: Final = "training"
PREVIEWS: Final = "previews"
COMPARISON_KEY: Final = "comparison"
FIRST_FIGURES: Final = "first figures"
MEASURED_KINDS: Final[tuple[Kind, ...]] = ("preview", "fine-tuned")
# From a change of codebooks to the end of its fine-tuning, the preview included; measuring takes the figures to 10 s.
LIVE_SECONDS: Final = 7.0
# Where the preview alone takes long.
LEAST_TUNING_SECONDS: Final = 3.0


class Studio:
    """Data, models, measured indexes and jobs of one process. Safe to share between threads.

    Parameters
    ----------
    interactions
        The data set.
    config
        Settings the studio was started with; visitors choose quantizer, tokens, encoder, interaction and seed anew.
    recorded
        What was trained and measured for this data before; None: nothing was. Pages may ask it for more, see `RecordedRuns`.
    """

    def __init__(self, interactions: Interactions, config: RunConfig, recorded: RecordedRuns | None = None) -> None:
        self.interactions, self.config = interactions, config
        self.recorded = recorded or RecordedRuns.nothing(interactions)
        self.split = split_users(interactions, config.split)
        # One training at a time and one core each leave a core for the pages.
        self.jobs = JobManager({TRAINING: 1, PREVIEWS: 1, FROM_SCRATCH: 1}, on_worker_start=lambda: torch.set_num_threads(1))
        self.from_scratch = TrainingSession(self.jobs, interactions, self.split, config.split)
        self.from_scratch.recorded = self.recorded.training(config, self.from_scratch.shelf.own())
        self.backbones = Backbones(self.split, self.jobs, TRAINING, self.recorded.backbone)
        self.comparison: Comparison | None = self.recorded.comparison(config)
        self.serving = ServingMeasurements(self)
        self.viewers = Viewers()
        self._refused: set[tuple[str, str]] = set()
        self._models = TunedModels(self.recorded, MODELS_BYTES)
        self._stages = BoundedCache(INDEXES_BYTES)

    @property
    def backbone(self) -> Backbone | None:
        """The backbone of the studio's own settings; None until it is trained."""
        return self.backbones.of(self.config)

    @property
    def machine(self) -> str:
        """What figures are measured on, in words."""
        return machine_facts(None if self.backbone is None else device_of(self.backbone.model))

    def run_config(self, quantizer: QuantizerConfig | None = None, model: ModelConfig | None = None, seed: int | None = None) -> RunConfig:
        """The studio's settings with another quantizer, other networks, or another seed; what is None stays the studio's own."""
        values = dict(self.config)
        if seed is not None:
            values["training"] = self.config.training.model_copy(update={"seed": seed})
        return RunConfig(**{**values, "quantizer": quantizer or self.config.quantizer, "model": model or self.config.model})

    def seen_indexes(self) -> list[MeasuredIndex]:
        """Every measured index still in memory, the last used at the end."""
        return self._stages.values()

    def best_measured(self, config: RunConfig) -> MeasuredIndex | None:
        """The best measured index of a setting that is still in memory, fine-tuned before preview; starts nothing."""
        run = config.content_hash()
        return self._stages.get(("fine-tuned", run)) or self._stages.get(("preview", run))

    def at_work(self) -> set[str]:
        """Keys of the jobs that use the processor now, of whoever; a paused training does not."""
        return self.jobs.running() - self.from_scratch.paused()

    def start_backbone(self, owner: str) -> JobSnapshot:
        """Train the backbone of the studio's own settings in the background, or join the training under way."""
        return self.backbones.start(self.config, owner)

    def start_comparison(self, owner: str) -> JobSnapshot:
        """Train and measure the peers in the background, or join the work under way; the backbone comes first if it is not there."""
        if self.backbone is None:
            self.start_backbone(owner)
        return self.jobs.submit(COMPARISON_KEY, "comparison of models", self._compare, owner, TRAINING)

    def start_tuning(self, config: RunConfig, owner: str, full: bool = False) -> JobSnapshot:
        """Fine-tune the preview of a setting in the background, or join the training under way.

        With `full` for all epochs of the settings, else for those that fit into the time of a live demonstration.
        """
        previewing = self.jobs.get(measuring_key("preview", config))
        spent = 0.0 if previewing is None else previewing.seconds
        # What the preview took, k-means and the index, fine-tuning needs again around its epochs, the index for sharper scores.
        seconds = math.inf if full else max(LEAST_TUNING_SECONDS, LIVE_SECONDS - 3 * spent)
        label = f"fine-tuning {setting_words(config)} " + (
            f"for all {config.training.joint_epochs} epochs" if full else f"for {seconds:.0f} s"
        )
        return self.jobs.submit(tuning_key(config), label, lambda handle: self._fine_tune(config, seconds, handle), owner, TRAINING)

    def train_here(self, config: RunConfig, owner: str) -> JobSnapshot:
        """Fine-tune a setting whose recorded model is shown, for all epochs; the new model takes the recorded one's place."""
        self._models.discard(config)
        return self.start_tuning(config, owner, full=True)

    def view(self, config: RunConfig, owner: str, wait_seconds: float = 0.0) -> View:
        """What there is for one setting; starts what is missing: backbone, then preview, then fine-tuning.

        A failed job, or fine-tuning that this owner cancelled, is not started again by itself.

        Parameters
        ----------
        config
            The setting, see `run_config`.
        owner
            Who looks.
        wait_seconds
            How long to wait at most for the first figures.
        """
        if not self._is_trained(config) and (training := self.backbones.ask(config, owner)) is not None:
            return View(config, None, None, training, None, training.active)
        tuning = self.jobs.get(tuning_key(config))
        previewed = self._stages.get(("preview", config.content_hash()))
        tuned = self._ask_tuned(config, owner, wait_seconds)
        if tuned.stage is not None:
            return View(config, tuned.stage, previewed, tuned.job, tuning, _is_active(tuning) or _is_active(tuned.job))
        if _is_active(tuned.job) and previewed is None:
            # Its figures come sooner than a preview's, which first has to be made.
            return View(config, None, None, tuned.job, tuning, True)
        found = self._ask_preview(config, owner, wait_seconds, whole_curve=False)
        if found.job is None and self._wants_tuning(config, tuning, owner):
            tuning = self.start_tuning(config, owner)
        if found.job is None and not _is_active(tuning) and tuned.job is None:
            # There is time for the rest of the curve: no fine-tuned figures are about to take its place.
            found = self._ask_preview(config, owner, wait_seconds, whole_curve=True)
        jobs = (found.job, tuned.job, tuning)
        return View(config, found.stage, found.stage, found.job or tuned.job, tuning, any(map(_is_active, jobs)))

    def leave(self, config: RunConfig, owner: str, to: RunConfig | None = None) -> None:
        """Stop what is under way for a setting this owner looks at no more, unless others wait for it: the last choice counts.

        Parameters
        ----------
        config
            The setting left.
        owner
            Who leaves it.
        to
            The setting looked at instead; if it starts from the same backbone, the training of that goes on.
        """
        if to is None or backbone_key(to) != backbone_key(config):
            self.backbones.leave(config, owner)
        for key in (tuning_key(config), *(measuring_key(kind, config) for kind in MEASURED_KINDS)):
            self.jobs.cancel(key, owner)

    def cancel_tuning(self, config: RunConfig, owner: str) -> bool:
        """Stop the fine-tuning of a setting for this owner, until `retry_tuning`; it goes on if others want it too."""
        key = tuning_key(config)
        self._refused.add((key, owner))
        return self.jobs.cancel(key, owner)

    def retry_tuning(self, config: RunConfig, owner: str) -> None:
        """Let the next `view` start the fine-tuning again after a cancel or a failure."""
        key = tuning_key(config)
        self._refused.discard((key, owner))
        self.jobs.forget(key)

    def close(self) -> None:
        """Stop all jobs."""
        self.jobs.close()

    def _is_trained(self, config: RunConfig) -> bool:
        """Whether there is a fine-tuned model or index, which needs its backbone no more."""
        return self._stages.get(("fine-tuned", config.content_hash())) is not None or self._models.of(config) is not None

    def _wants_tuning(self, config: RunConfig, tuning: JobSnapshot | None, owner: str) -> bool:
        if config.training.joint_epochs == 0 or (tuning_key(config), owner) in self._refused:
            return False
        if tuning is None or tuning.state in (JobState.CANCELLED, JobState.DONE):
            return self._models.of(config) is None
        return tuning.active and owner not in tuning.owners

    def _ask_preview(self, config: RunConfig, owner: str, wait_seconds: float, whole_curve: bool) -> _Measured:
        """The preview's stage, and the job it still waits for; starts that job."""
        stage = self._stages.get(("preview", config.content_hash()))
        if stage is not None and (stage.finished if whole_curve else stage.presentable):
            return _Measured(stage, None)
        return self._ask("preview", config, lambda handle: self._preview(config, handle, whole_curve), owner, wait_seconds)

    def _ask_tuned(self, config: RunConfig, owner: str, wait_seconds: float) -> _Measured:
        """The fine-tuned stage, if there is a model, and the job it still waits for; starts that job."""
        stage, tuned = self._stages.get(("fine-tuned", config.content_hash())), self._models.of(config)
        # Fine-tuning that is under way measures its model itself.
        if tuned is None or _is_active(self.jobs.get(tuning_key(config))) or (stage is not None and stage.finished):
            return _Measured(stage, None)
        return self._ask("fine-tuned", config, lambda handle: self._measure_tuned(config, tuned, handle), owner, wait_seconds)

    def _ask(self, kind: Kind, config: RunConfig, work: Work, owner: str, wait_seconds: float) -> _Measured:
        key = measuring_key(kind, config)
        job = self.jobs.get(key)
        if job is None or job.state in (JobState.DONE, JobState.CANCELLED) or (job.active and owner not in job.owners):
            job = self.jobs.submit(key, f"{kind} of {setting_words(config)}", work, owner, PREVIEWS)
        shown = (kind, config.content_hash())
        if self._stages.get(shown) is None:
            job = self.jobs.wait(key, lambda snapshot: FIRST_FIGURES in snapshot.records, wait_seconds)
        return _Measured(self._stages.get(shown), None if job is None or job.state is JobState.DONE else job)

    def _others_at_work(self, kind: Kind, config: RunConfig) -> bool:
        """Whether jobs run beside one that measures a stage."""
        return not self.at_work() <= {measuring_key(kind, config), tuning_key(config)}

    def _keeper(self, handle: JobHandle) -> Callable[[MeasuredIndex], None]:
        def keep(stage: MeasuredIndex) -> None:
            # A recorded model is a fine-tuned one that was not trained here.
            self._stages.put(("preview" if stage.is_preview else "fine-tuned", stage.config.content_hash()), stage, stage.n_bytes)
            handle.publish(FIRST_FIGURES)

        return keep

    def _preview(self, config: RunConfig, handle: JobHandle, whole_curve: bool) -> None:
        stage, keep = self._stages.get(("preview", config.content_hash())), self._keeper(handle)
        if stage is None or not stage.presentable:
            started = time.perf_counter()
            model = preview(self.backbones.train(config, handle).model, self.split, config)
            handle.check()
            origin = Training("preview", config, (), lambda: time.perf_counter() - started, cut_short=False)
            stage = measure(model, origin, self.split, keep, handle.check)
        if whole_curve:
            time_stops(refine(stage, keep, handle.check), lambda: self._others_at_work("preview", config), handle.check)

    def _fine_tune(self, config: RunConfig, seconds: float, handle: JobHandle) -> None:
        self._measure_tuned(config, self._tuned(config, seconds, handle.publish, handle), handle)

    def _measure_tuned(self, config: RunConfig, tuned: Tuned, handle: JobHandle) -> None:
        kind = "fine-tuned" if tuned.recording is None else "recorded"
        origin = Training(kind, config, tuned.records, lambda: tuned.seconds, tuned.cut_short, tuned.recording)
        keep = self._keeper(handle)
        stage = refine(measure(tuned.model, origin, self.split, keep, handle.check), keep, handle.check)
        time_stops(stage, lambda: self._others_at_work("fine-tuned", config), handle.check)

    def _tuned(self, config: RunConfig, seconds: float, on_epoch: Callable[[EpochRecord], None], handle: JobHandle) -> Tuned:
        known = self._models.of(config)
        if known is not None and not (known.cut_short and math.isinf(seconds)):
            return known
        backbone = self.backbones.train(config, handle)
        started = time.perf_counter()
        model = preview(backbone.model, self.split, config)
        records, cut_short = fine_tune_within(model, self.split, config, seconds, on_epoch, handle.should_stop)
        handle.check()
        tuned = Tuned(model, tuple(records), time.perf_counter() - started, cut_short)
        self._models.put(config, tuned)
        return tuned

    def _compare(self, handle: JobHandle) -> None:
        backbone = self.backbone
        if backbone is None:
            raise ValueError("the backbone was not trained, so there is nothing to compare")
        # All epochs, because its peers get all of theirs.
        tuned = self._tuned(self.config, math.inf, lambda record: handle.publish(Step("fine-tuning SparCode", record)), handle)
        shown = ("fine-tuned", self.config.content_hash())
        if (stage := self._stages.get(shown)) is not None and stage.cut_short:
            # The explorer measures the better model when it is looked at again.
            self._stages.discard(shown)
        self.comparison = compare(
            self.split, self.config, backbone, tuned, handle, lambda told: self.serving.two_tower(self.config, handle, told)
        )


class _Measured(NamedTuple):
    stage: MeasuredIndex | None
    job: JobSnapshot | None


def _is_active(job: JobSnapshot | None) -> bool:
    return job is not None and job.active
