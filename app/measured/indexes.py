"""The measured indexes in memory, and the work that makes them, for previews and for fine-tuned or recorded models."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Literal

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle
from app.measured.measured_index import MeasuredIndex, ModelFacts, measure, refine, time_stops
from app.models.backbones import Backbones
from app.models.trained import Tuned
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.training.pipeline import preview

# A recorded model is a fine-tuned one that was not trained here.
ModelKind = Literal["preview", "fine-tuned"]
FIRST_FIGURES: Final = "first figures"


class MeasuredIndexes:
    """Measured indexes by their settings; at most `max_bytes`, least recently used dropped first. Safe to share between threads."""

    def __init__(self, split: Split, backbones: Backbones, max_bytes: int) -> None:
        self._split, self._backbones = split, backbones
        self._kept: ByteCache[MeasuredIndex] = ByteCache(max_bytes, lambda measured: measured.n_bytes)

    def get(self, kind: ModelKind, config: RunConfig) -> MeasuredIndex | None:
        """The index of a setting's preview or fine-tuned model; None if it is not measured (any more)."""
        return self._kept.get((kind, config.content_hash()))

    def best(self, config: RunConfig) -> MeasuredIndex | None:
        """The index of a setting's fine-tuned model, else of its preview, else None."""
        return self.get("fine-tuned", config) or self.get("preview", config)

    def all(self) -> list[MeasuredIndex]:
        """Every index in memory, the one measured last at the end."""
        return self._kept.values()

    def discard(self, kind: ModelKind, config: RunConfig) -> None:
        """Drop an index, so that it is measured again on demand."""
        self._kept.discard((kind, config.content_hash()))

    def measure_preview(self, config: RunConfig, handle: JobHandle, whole_curve: bool, busy: Callable[[], bool]) -> None:
        """Make and measure a setting's preview; the work of a job.

        Parameters
        ----------
        handle
            Publishes `FIRST_FIGURES` with every result.
        whole_curve
            Whether to measure every stop of the curve, and the latency at some.
        busy
            Whether other jobs are running now.
        """
        publish, measured = self._publisher(handle), self.get("preview", config)
        if measured is None or not measured.presentable:
            started = time.perf_counter()
            model = preview(self._backbones.train(config, handle).model, self._split, config)
            handle.check()
            facts = ModelFacts("preview", config, (), lambda: time.perf_counter() - started, cut_short=False)
            measured = measure(model, facts, self._split, publish, handle.check)
        if whole_curve:
            time_stops(refine(measured, publish, handle.check), busy, handle.check)

    def measure_tuned(self, config: RunConfig, tuned: Tuned, handle: JobHandle, busy: Callable[[], bool]) -> None:
        """Measure a fine-tuned, recorded or kept model with its whole curve; see `measure_preview`."""
        publish = self._publisher(handle)
        kind = "fine-tuned" if tuned.recording is None else "trained from scratch" if tuned.recording.run else "recorded"
        facts = ModelFacts(kind, config, tuned.records, lambda: tuned.seconds, tuned.cut_short, tuned.recording)
        measured = measure(tuned.model, facts, self._split, publish, handle.check)
        time_stops(refine(measured, publish, handle.check), busy, handle.check)

    def _publisher(self, handle: JobHandle) -> Callable[[MeasuredIndex], None]:
        def publish(measured: MeasuredIndex) -> None:
            kind = "preview" if measured.is_preview else "fine-tuned"
            self._kept.put((kind, measured.config.content_hash()), measured)
            handle.publish(FIRST_FIGURES)

        return publish
