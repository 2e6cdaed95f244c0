"""Fine-tuned models: trained within a time limit or for all epochs, and cached within a limit of memory."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle
from app.models.backbones import Backbones
from app.models.trained import Tuned, weight_bytes
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import fine_tune, preview


class TunedModels:
    """Fine-tuned models by their settings. Safe to share between threads.

    Parameters
    ----------
    recorded
        Recorded models, for settings that are not trained here.
    max_bytes
        Limit of the weights kept; least recently used models are dropped first.
    """

    def __init__(self, split: Split, backbones: Backbones, recorded: Callable[[RunConfig], Tuned | None], max_bytes: int) -> None:
        self._split, self._backbones, self._recorded = split, backbones, recorded
        self._kept: ByteCache[Tuned] = ByteCache(max_bytes, lambda tuned: weight_bytes(tuned.model))
        self._replaced: set[str] = set()

    def of(self, config: RunConfig) -> Tuned | None:
        """The model of a setting, trained here or recorded; None if there is none (any more)."""
        key = config.content_hash()
        known = self._kept.get(key)
        if known is None and key not in self._replaced and (known := self._recorded(config)) is not None:
            self._kept.put(key, known)
        return known

    def train(
        self, config: RunConfig, seconds: float, on_epoch: Callable[[EpochRecord], None], handle: JobHandle, anew: bool = False
    ) -> Tuned:
        """The model of a setting, trained if there is none or only one that a time limit cut short; the work of a job.

        `seconds` limit the epochs; infinity trains all of them. `anew` trains also in place of a recorded model, which stays until the new
        one is there. JobCancelled if the job is asked to stop.
        """
        known = self.of(config)
        outdated = known is None or (known.cut_short and seconds == float("inf")) or (anew and known.recording is not None)
        if not outdated:
            return known
        backbone = self._backbones.train(config, handle)
        started = time.perf_counter()
        model = preview(backbone.model, self._split, config)
        records, cut_short = fine_tune_within(model, self._split, config, seconds, on_epoch, handle.should_stop)
        handle.check()
        tuned = Tuned(model, tuple(records), time.perf_counter() - started, cut_short)
        if anew:
            self._replaced.add(config.content_hash())
        self._kept.put(config.content_hash(), tuned)
        return tuned


def fine_tune_within(
    model: SparCodeModel,
    split: Split,
    config: RunConfig,
    seconds: float,
    on_epoch: Callable[[EpochRecord], None],
    should_stop: Callable[[], bool],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[EpochRecord], bool]:
    """Fine-tune a preview in place until the settings or the time end it; it is left at the best epoch measured, the start included.

    `seconds` is the time limit, infinity for none; other parameters as for `sparcode.training.pipeline.fine_tune`. Returns the records, and
    whether the time ended the training; the last epoch may then be incomplete.
    """
    deadline = clock() + seconds
    late = False

    def stop() -> bool:
        nonlocal late
        late = late or clock() >= deadline
        return late or should_stop()

    records = fine_tune(model, split, config, on_epoch, stop)
    incomplete = bool(records) and (records[-1].stopped or records[-1].epoch < config.training.joint_epochs)
    return records, late and incomplete
