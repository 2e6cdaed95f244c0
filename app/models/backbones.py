"""The continuous models that previews start from, one per encoder, interaction, tokens and seed: trained in the background and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Final

from app.jobs.byte_cache import ByteCache
from app.jobs.job import JobHandle, JobSnapshot, JobState
from app.jobs.manager import JobManager
from app.models.trained import Backbone, weight_bytes
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.split import Split
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training.pipeline import train_backbone

BACKBONES_BYTES: Final = 192 * 2**20
_STAGES: Final = ("split", "model", "training")


def backbone_key(config: RunConfig) -> str:
    """Key of the job that trains the backbone of a setting; the same for all settings that differ in quantizer or index only."""
    hashes = " ".join(getattr(config, stage).content_hash() for stage in _STAGES)
    return f"backbone/{hashlib.sha256(hashes.encode()).hexdigest()[:16]}"


class Backbones:
    """Trained backbones within a limit of memory, and the jobs that train them. Safe to share between threads.

    Parameters
    ----------
    split
        Users to train, validate and test on.
    jobs
        Runs the training.
    lane
        Lane of `jobs` for it.
    recorded
        Asked for a backbone that is not trained: one recorded before the studio was started, or None.
    max_bytes
        Weights kept; the backbone unused longest is forgotten first, and trained again when it is asked for.
    """

    def __init__(
        self,
        split: Split,
        jobs: JobManager,
        lane: str,
        recorded: Callable[[RunConfig], Backbone | None] = lambda config: None,
        max_bytes: int = BACKBONES_BYTES,
    ) -> None:
        self._split, self._jobs, self._lane, self._recorded = split, jobs, lane, recorded
        self._kept: ByteCache[Backbone] = ByteCache(max_bytes, lambda backbone: weight_bytes(backbone.model))
        self._refused: set[tuple[str, str]] = set()

    def of(self, config: RunConfig) -> Backbone | None:
        """The backbone of a setting, trained here or recorded; None if it is neither (or forgotten)."""
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

        A failed job, or one that this owner cancelled, is not started again by itself.
        """
        if self.of(config) is not None:
            return None
        key = backbone_key(config)
        job = self._jobs.get(key)
        if job is not None and (job.state is JobState.FAILED or (key, owner) in self._refused):
            return job
        return job if job is not None and job.active and owner in job.owners else self.start(config, owner)

    def cancel(self, config: RunConfig, owner: str) -> bool:
        """Stop the training for this owner, until `retry`; it goes on if others want it too."""
        self._refused.add((backbone_key(config), owner))
        return self.leave(config, owner)

    def leave(self, config: RunConfig, owner: str) -> bool:
        """Stop the training for an owner who looks elsewhere, unless others wait for it; asked for again it starts again."""
        return self._jobs.cancel(backbone_key(config), owner)

    def retry(self, config: RunConfig, owner: str) -> None:
        """Let the next `ensure` start or join the training again after a cancel or a failure."""
        self._refused.discard((backbone_key(config), owner))
        self._jobs.forget(backbone_key(config))

    def train(self, config: RunConfig, handle: JobHandle) -> Backbone:
        """The backbone of a setting, trained if it is not there; the work of a job.

        Parameters
        ----------
        config
            The setting.
        handle
            Told every epoch, and asked whether to stop.

        Raises
        ------
        JobCancelled
            If the job was asked to stop.
        """
        known = self.of(config)
        if known is not None:
            return known
        started = time.perf_counter()
        # The untrained model's recall comes first: an epoch of gru or sasrec takes seconds, and people want to see something move.
        model, records = train_backbone(self._split, config, handle.publish, handle.should_stop, "auto", True)
        handle.check()
        seconds = time.perf_counter() - started
        recall, ndcg, _ = accuracy(ExactRetriever(model), self._split.test, DEFAULT_K)
        trained = Backbone(model, tuple(records), recall, ndcg, seconds)
        self._kept.put(backbone_key(config), trained)
        return trained


def _nothing(_: Backbone) -> None:
    # What a job returns is kept with it, and would keep a forgotten backbone alive.
    return None
