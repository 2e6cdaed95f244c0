"""The continuous models that previews start from, one per encoder, interaction, tokens and seed: trained in the background and cached."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Final

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.scoped import Jobs
from app.models.trained import Backbone, weight_bytes
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.split import Split
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training.pipeline import train_backbone

BACKBONES_BYTES: Final = 192 * 2**20
_SECTIONS: Final = ("split", "model", "training")


def backbone_key(config: RunConfig) -> str:
    """Key of the job that trains a setting's backbone; settings that differ only in quantizer or index share it."""
    hashes = " ".join(getattr(config, section).content_hash() for section in _SECTIONS)
    return f"backbone/{hashlib.sha256(hashes.encode()).hexdigest()[:16]}"


class Backbones:
    """Trained backbones within a limit of memory, and the jobs that train them. Safe to share between threads.

    Parameters
    ----------
    jobs, lane
        Runs the training, in this lane.
    recorded
        Returns a recorded backbone for a setting that is not trained here, or None.
    max_bytes
        Limit of the weights kept; least recently used backbones are dropped first, and trained again on demand.
    """

    def __init__(
        self,
        split: Split,
        jobs: Jobs,
        lane: str,
        recorded: Callable[[RunConfig], Backbone | None] = lambda config: None,
        max_bytes: int = BACKBONES_BYTES,
    ) -> None:
        self._split, self._jobs, self._lane, self._recorded = split, jobs, lane, recorded
        self._kept: ByteCache[Backbone] = ByteCache(max_bytes, lambda backbone: weight_bytes(backbone.model))
        self._refused: set[tuple[str, str]] = set()

    def of(self, config: RunConfig) -> Backbone | None:
        """The backbone of a setting, trained here or recorded; None if there is none (any more)."""
        known = self._kept.get(backbone_key(config))
        if known is None and (known := self._recorded(config)) is not None:
            self._kept.put(backbone_key(config), known)
        return known

    def start(self, config: RunConfig, owner: str) -> JobSnapshot:
        """Train the backbone of a setting in the background, or join the training under way."""
        words = f"{config.model.encoder}, {config.model.interaction}, T = {config.model.n_tokens}, seed {config.training.seed}"
        label = f"training the all-to-all backbone ({words})"
        return self._jobs.submit(backbone_key(config), label, lambda handle: _nothing(self.train(config, handle)), owner, self._lane)

    def ensure(self, config: RunConfig, owner: str) -> JobSnapshot | None:
        """The job a missing backbone waits for, started or joined if need be; None if the backbone is there.

        A failed job, or one that this owner cancelled, is not started again automatically.
        """
        if self.of(config) is not None:
            return None
        key = backbone_key(config)
        job = self._jobs.get(key)
        if job is not None and (job.state is JobState.FAILED or (key, owner) in self._refused):
            return job
        return job if job is not None and job.active and owner in job.owners else self.start(config, owner)

    def cancel(self, config: RunConfig, owner: str) -> bool:
        """Stop the training for this owner, until `retry`; it goes on for other owners."""
        self._refused.add((backbone_key(config), owner))
        return self.leave(config, owner)

    def leave(self, config: RunConfig, owner: str) -> bool:
        """Stop the training for an owner who left the setting, unless others wait for it; `ensure` starts it again."""
        return self._jobs.cancel(backbone_key(config), owner)

    def retry(self, config: RunConfig, owner: str) -> None:
        """Let the next `ensure` start or join the training again after a cancel or a failure."""
        self._refused.discard((backbone_key(config), owner))
        self._jobs.forget(backbone_key(config))

    def train(self, config: RunConfig, handle: JobHandle) -> Backbone:
        """The backbone of a setting, trained if needed: the work of a job, which publishes every epoch. JobCancelled if asked to stop."""
        known = self.of(config)
        if known is not None:
            return known
        started = time.perf_counter()
        # Also measure the untrained model's recall: an epoch of gru or sasrec takes seconds, and the chart should start before.
        model, records = train_backbone(self._split, config, handle.publish, handle.should_stop, "auto", True)
        handle.check()
        seconds = time.perf_counter() - started
        recall, ndcg, _ = accuracy(ExactRetriever(model), self._split.test, DEFAULT_K)
        trained = Backbone(model, tuple(records), recall, ndcg, seconds)
        self._kept.put(backbone_key(config), trained)
        return trained


def _nothing(_: Backbone) -> None:
    # A job keeps its result, which would keep a dropped backbone in memory.
    return None
