"""The jobs of one setting: its backbone, its preview, its fine-tuning, and their measurement. Reading starts nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from app.jobs.job import ACTIVE, JobHandle, JobSnapshot, JobState, Work
from app.jobs.scoped import Jobs
from app.jobs.turns import page_turns
from app.measured.curve import TimedLatency
from app.measured.indexes import FIRST_FIGURES, MeasuredIndexes, ModelKind
from app.measured.measured_index import MeasuredIndex
from app.models.backbones import Backbones, backbone_key
from app.models.trained import Tuned
from app.models.tuned import TunedModels
from sparcode.config import RunConfig

TRAINING: Final = "training"
PREVIEWS: Final = "previews"
TIMING: Final = "timing"
MODEL_KINDS: Final[tuple[ModelKind, ...]] = ("preview", "fine-tuned")
# From a change of codebooks to the end of fine-tuning, the preview included; with measuring it takes 10 s.
LIVE_SECONDS: Final = 7.0
# At least this long, even if the preview takes long.
LEAST_TUNING_SECONDS: Final = 3.0
# On an idle machine 100 queries of the default encoder take a fifth of it.
TIMING_SECONDS: Final = 0.15


class View(NamedTuple):
    """What is known of one setting, and what is under way.

    Attributes
    ----------
    measured
        Its best measured index; None before the first figures.
    preview
        The preview's index, for comparison; None if it is not known (any more).
    waiting
        The job that the first or further figures wait for; None if there is none.
    tuning
        The fine-tuning job of this setting; None if there never was one.
    active
        Whether anything shown may still change by itself.
    had_no_time
        Whether the time limit ended the fine-tuning before its first batch, so that the preview is still the best model.
    """

    config: RunConfig
    measured: MeasuredIndex | None
    preview: MeasuredIndex | None
    waiting: JobSnapshot | None
    tuning: JobSnapshot | None
    active: bool
    had_no_time: bool


def tuning_key(config: RunConfig) -> str:
    """Key of the job that fine-tunes a setting, and measures the result."""
    return f"fine-tuning/{config.content_hash()}"


def measuring_key(kind: ModelKind, config: RunConfig) -> str:
    """Key of the job that indexes and measures a model of a setting."""
    return f"{kind}/{config.content_hash()}"


def keys_of(config: RunConfig) -> frozenset[str]:
    """Keys of all jobs of a setting."""
    return frozenset((backbone_key(config), tuning_key(config), *(measuring_key(kind, config) for kind in MODEL_KINDS)))


class SettingJobs:
    """Starts, shows and stops the jobs of settings. Safe to share between threads.

    `jobs` has the lanes `TRAINING`, `PREVIEWS` and `TIMING`; `at_work` gives the keys of the running jobs, those in `TIMING` excepted.
    """

    def __init__(
        self, jobs: Jobs, backbones: Backbones, tuned: TunedModels, indexes: MeasuredIndexes, at_work: Callable[[], set[str]]
    ) -> None:
        self._jobs, self._backbones, self._tuned, self._indexes, self._at_work = jobs, backbones, tuned, indexes, at_work
        self._refused: set[tuple[str, str]] = set()

    def view(self, config: RunConfig) -> View:
        """What is known of one setting; starts nothing."""
        # Jobs before what they make: one that is seen as done has left its index.
        tuning, backbone = self._jobs.get(tuning_key(config)), self._jobs.get(backbone_key(config))
        measuring = [self._jobs.get(measuring_key(kind, config)) for kind in MODEL_KINDS]
        preview, tuned = self._indexes.get("preview", config), self._indexes.get("fine-tuned", config)
        if tuned is None and preview is None and self._backbone_is_missing(config):
            waiting = backbone
        else:
            waiting = _blocking(measuring if tuned is None else measuring[1:])
        active = any(_is_active(job) for job in (waiting, tuning, *measuring))
        model = self._tuned.of(config)
        had_no_time = model is not None and model.cut_short and not model.trained
        return View(config, tuned or preview, preview, waiting, tuning, active, had_no_time)

    def follow(self, config: RunConfig, owner: str, seconds: float = 0.0) -> View:
        """`ensure`, then the view, for a page that polls; waits at most so many seconds for the first figures.

        The view is active also if a job ended meanwhile, because another step may follow.
        """
        is_under_way, view = self.ensure(config, owner), self.view(config)
        if view.measured is None and view.waiting is not None and view.waiting.key != backbone_key(config):
            self._jobs.wait(view.waiting.key, lambda job: FIRST_FIGURES in job.records, seconds)
            view = self.view(config)
        return view._replace(active=view.active or is_under_way)

    def latency(self, measured: MeasuredIndex, stop: int, owner: str, what: str = "shown") -> TimedLatency | None:
        """Time of single queries at one stop, measured in the background where it is unknown, or again if jobs ran beside it.

        Waits `TIMING_SECONDS` at most, then returns what is known; None before the first measurement or the whole index. An owner's next
        stop takes the place of the one before, of each kind of index (`what`). While many pages are being drawn nothing is timed: it would
        take long, keep them waiting, and tell the time of a query beside them.
        """
        known = measured.latencies().get(stop)
        wanted = known is None or (known.busy and not self._at_work())
        if measured.complete and wanted and not page_turns.all_taken():
            key, label = f"{TIMING}/{what}/{owner}", f"timing {measured.version} at stop {stop}"
            if (job := self._jobs.get(key)) is not None and (job.label, job.state) == (label, JobState.FAILED):
                return known
            # Not in the thread that asks: beside other visitors' pages it may take seconds.
            self._jobs.submit(key, label, lambda handle: measured.latency(stop, bool(self._at_work())), owner, TIMING, replaces=True)
            self._jobs.wait(key, lambda job: False, TIMING_SECONDS)
            known = measured.latencies().get(stop)
        return known

    def ensure(self, config: RunConfig, owner: str) -> bool:
        """Start or join what is missing for a setting, one step a call: backbone, then preview, then fine-tuning, then the whole curve.

        Returns whether something is under way, so that another step may follow. A failed job, or one that this owner cancelled, is not
        started again automatically.
        """
        if self._backbone_is_missing(config) and (backbone := self._backbones.ensure(config, owner)) is not None:
            return backbone.active
        tuning, preview, model = self._jobs.get(tuning_key(config)), self._indexes.get("preview", config), self._tuned_model(config)
        tuned, measuring = self._indexes.get("fine-tuned", config), None
        # Fine-tuning under way measures its model itself.
        if model is not None and not _is_active(tuning) and not (tuned is not None and tuned.finished):
            measuring = self._measure_tuned(config, model, owner)
        # An existing model is measured sooner than a preview, which first has to be made.
        if tuned is None and not (preview is None and _is_active(measuring)):
            if preview is None or not preview.presentable:
                measuring = self._measure_preview(config, owner, whole_curve=False)
            else:
                if self._wants_tuning(config, tuning, owner):
                    tuning = self.start_tuning(config, owner)
                if not _is_active(tuning) and model is None and not preview.finished:
                    # No fine-tuned figures are about to replace it, so measure the rest of the curve.
                    measuring = self._measure_preview(config, owner, whole_curve=True)
        return _is_active(tuning) or _is_active(measuring)

    def start_tuning(self, config: RunConfig, owner: str, full: bool = False, anew: bool = False) -> JobSnapshot:
        """Fine-tune the preview of a setting in the background, or join the training under way.

        With `full` for all epochs of the settings, in place of a shorter training whose index may still be being measured; else for the
        epochs that fit into the time of a live demonstration. With `anew` also in place of a recorded model.
        """
        self._refused.discard((tuning_key(config), owner))
        previewing = self._jobs.get(measuring_key("preview", config))
        spent = 0.0 if previewing is None else previewing.seconds
        # Besides its epochs, fine-tuning repeats the preview's k-means and index, the latter with sharper scores.
        seconds = math.inf if full else max(LEAST_TUNING_SECONDS, LIVE_SECONDS - 3 * spent)
        extent = f"for all {config.training.joint_epochs} epochs" if full else f"for {seconds:.0f} s"
        label = f"fine-tuning {_words(config)} {extent}"
        return self._jobs.submit(tuning_key(config), label, lambda handle: self._tune(config, seconds, handle, anew), owner, TRAINING, full)

    def cancel_tuning(self, config: RunConfig, owner: str) -> bool:
        """Stop the fine-tuning of a setting for this owner, until `retry_tuning`; it goes on for other owners."""
        key = tuning_key(config)
        self._refused.add((key, owner))
        return self._jobs.cancel(key, owner)

    def retry_tuning(self, config: RunConfig, owner: str) -> None:
        """Let the next `ensure` start or join the fine-tuning again after a cancel or a failure."""
        key = tuning_key(config)
        self._refused.discard((key, owner))
        self._jobs.forget(key)

    def leave(self, config: RunConfig, owner: str, to: RunConfig | None = None) -> None:
        """Stop what is under way for a setting that this owner left, except jobs that others wait for or that the setting `to` shares."""
        for key in keys_of(config) - (frozenset() if to is None else keys_of(to)):
            self._jobs.cancel(key, owner)

    def _backbone_is_missing(self, config: RunConfig) -> bool:
        """Whether the setting waits for a backbone, which a fine-tuned model or index no longer needs."""
        known = self._indexes.get("fine-tuned", config) is not None or self._tuned_model(config) is not None
        return not known and self._backbones.of(config) is None

    def _tuned_model(self, config: RunConfig) -> Tuned | None:
        """A model whose figures differ from the preview's."""
        tuned = self._tuned.of(config)
        return tuned if tuned is not None and tuned.trained else None

    def _wants_tuning(self, config: RunConfig, tuning: JobSnapshot | None, owner: str) -> bool:
        if config.training.joint_epochs == 0 or (tuning_key(config), owner) in self._refused:
            return False
        if tuning is None or tuning.state in (JobState.CANCELLED, JobState.DONE):
            return self._tuned.of(config) is None
        return tuning.active and owner not in tuning.owners

    def _measure_preview(self, config: RunConfig, owner: str, whole_curve: bool) -> JobSnapshot:
        def work(handle: JobHandle) -> None:
            self._indexes.measure_preview(config, handle, whole_curve, lambda: self._others_at_work("preview", config))

        return self._measure("preview", config, work, owner)

    def _measure_tuned(self, config: RunConfig, tuned: Tuned, owner: str) -> JobSnapshot:
        def work(handle: JobHandle) -> None:
            self._indexes.measure_tuned(config, tuned, handle, lambda: self._others_at_work("fine-tuned", config))

        return self._measure("fine-tuned", config, work, owner)

    def _measure(self, kind: ModelKind, config: RunConfig, work: Work, owner: str) -> JobSnapshot:
        key = measuring_key(kind, config)
        job = self._jobs.get(key)
        if job is None or job.state in (JobState.DONE, JobState.CANCELLED) or (job.active and owner not in job.owners):
            job = self._jobs.submit(key, f"{kind} of {_words(config)}", work, owner, PREVIEWS)
        return job

    def _others_at_work(self, kind: ModelKind, config: RunConfig) -> bool:
        """Whether jobs run beside the one that measures."""
        return not self._at_work() <= {measuring_key(kind, config), tuning_key(config)}

    def _tune(self, config: RunConfig, seconds: float, handle: JobHandle, anew: bool) -> None:
        tuned = self._tuned.train(config, seconds, handle.publish, handle, anew)
        if tuned.trained:
            self._indexes.measure_tuned(config, tuned, handle, lambda: self._others_at_work("fine-tuned", config))


def _blocking(jobs: list[JobSnapshot | None]) -> JobSnapshot | None:
    """The first active job, else the first failed one."""
    for state in (*ACTIVE, JobState.FAILED):
        for job in jobs:
            if job is not None and job.state is state:
                return job
    return None


def _words(config: RunConfig) -> str:
    return f"M = {config.quantizer.n_codebooks}, K = {config.quantizer.codebook_size}"


def _is_active(job: JobSnapshot | None) -> bool:
    return job is not None and job.active
