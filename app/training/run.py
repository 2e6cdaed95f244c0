"""One training from scratch: all-to-all backbone, then joint epochs, then the two-tower baseline if asked for; measured at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

import numpy as np
import torch

from app.jobs.job import JobHandle
from app.training.control import TrainingControl
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import Split
from sparcode.device import device_of
from sparcode.index.inverted_index import InvertedIndex
from sparcode.metrics.codes import usage_counts
from sparcode.metrics.evaluation import accuracy
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.query_batch import QueryBatch
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import build_run_index, fine_tune, preview, train_backbone, train_two_tower
from sparcode.training.trainer import STATISTICS_QUERIES

StageName = Literal["all-to-all", "SparCode", "two-tower"]
BACKBONE: Final[StageName] = "all-to-all"
JOINT: Final[StageName] = "SparCode"
TWO_TOWER: Final[StageName] = "two-tower"

# More codewords than this are thinned out before they are drawn.
USAGE_WIDTH: Final = 256


class EpochPoint(NamedTuple):
    """One epoch as the page shows it.

    Attributes
    ----------
    epoch
        Within the stage, from 1; 0 is SparCode's state straight after k-means.
    loss
        Mean over the epoch's batches; NaN for epoch 0.
    commitment
        Mean squared distance of training tokens to their nearest code's vector, before its weight beta; NaN without codes.
    recall
        Mean recall at `DEFAULT_K` on the validation users.
    perplexity, dead_share
        Means over codebooks; NaN without codes.
    codes_in_use
        Distinct composite codes of training queries; 0 without codes.
    seconds
        Since the point before it, pauses left out.
    usage
        (M, min(K, `USAGE_WIDTH`)) float32 use of codewords, see `usage_profile`; None without codes.
    """

    stage: StageName
    epoch: int
    loss: float
    commitment: float
    recall: float
    perplexity: float
    dead_share: float
    codes_in_use: int
    seconds: float
    usage: np.ndarray | None


class RunResult(NamedTuple):
    """A finished training, measured on the test users.

    Attributes
    ----------
    recall, ndcg
        At 50, through the index at the model's own threshold.
    size_bytes, density
        Bytes of that index, and the share of scores it keeps.
    all_to_all, two_tower
        Recall at `DEFAULT_K` of the baselines, scoring every item; two-tower's is NaN where it was not trained.
    seconds
        From the first batch to here, pauses left out.
    n_users
        Test users; 0 where it was not kept.
    """

    recall: float
    ndcg: float
    size_bytes: int
    density: float
    all_to_all: float
    two_tower: float
    seconds: float
    machine: str
    n_users: int = 0


class TrainedModels(NamedTuple):
    """What a training made.

    Attributes
    ----------
    backbone, backbone_records
        The all-to-all model before it got codes, and its epochs.
    backbone_recall, backbone_ndcg
        Its figures at `DEFAULT_K` on the test users, scoring every item.
    model, records
        SparCode, and its epochs.
    index
        Its index, as a run keeps it.
    """

    backbone: AllToAllModel
    backbone_records: tuple[EpochRecord, ...]
    backbone_recall: float
    backbone_ndcg: float
    model: SparCodeModel
    records: tuple[EpochRecord, ...]
    index: InvertedIndex


class Baseline(NamedTuple):
    """A trained two-tower baseline: its epochs, and recall at `DEFAULT_K` on the test users."""

    points: tuple[EpochPoint, ...]
    recall: float


def usage_profile(counts: np.ndarray) -> np.ndarray:
    """(M, min(K, USAGE_WIDTH)) float32 use of codewords, 1 being an even share, most used first, from (M, K) int64 assignments.

    Of more than `USAGE_WIDTH` codewords it takes evenly spaced ranks.
    """
    even = counts.sum(axis=1, keepdims=True) / counts.shape[1]
    relative = np.divide(counts, even, out=np.zeros(counts.shape), where=even > 0)
    ranked = -np.sort(-relative, axis=1)
    width = min(counts.shape[1], USAGE_WIDTH)
    return ranked[:, np.linspace(0, counts.shape[1] - 1, width).round().astype(np.int64)].astype(np.float32)


class TrainingMonitor:
    """Publishes the trainer's epochs as points, and pauses or stops the training between batches; `clock` is a steady one, in seconds."""

    def __init__(self, control: TrainingControl, handle: JobHandle, clock: Callable[[], float] = time.perf_counter) -> None:
        self._control, self._handle, self._clock = control, handle, clock
        self.started = self._last = self.working_seconds()

    def working_seconds(self) -> float:
        """A clock that stands still during pauses."""
        return self._clock() - self._control.waited_seconds

    def should_stop(self) -> bool:
        """Wait while the training is paused; then return whether it was cancelled."""
        self._control.wait(self._handle.should_stop, self._handle.aside)
        return self._handle.should_stop()

    def on_epoch(
        self, stage: StageName, model: SparCodeModel | None = None, queries: Histories | None = None
    ) -> Callable[[EpochRecord], None]:
        """The trainer's `on_epoch` of a stage; for a model with codes, `queries` are those its codeword use is measured on."""

        def publish(record: EpochRecord) -> None:
            if record.stopped:
                return
            commitment, usage = (math.nan, None) if model is None else code_health(model, queries)
            now = self.working_seconds()
            seconds, self._last = now - self._last, now
            figures = (record.recall, record.perplexity, record.dead_share, record.codes_in_use)
            # Before publishing, so that a step has ended when its epoch shows.
            self._control.epoch_done()
            self._handle.publish(EpochPoint(stage, record.epoch, record.loss, commitment, *figures, seconds, usage))

        return publish


@torch.no_grad()
def code_health(model: SparCodeModel, queries: Histories) -> tuple[float, np.ndarray]:
    """Mean squared distance of tokens to their codes, and `usage_profile`, over the queries that the trainer's own statistics use.

    The model is in evaluation mode and stays unchanged.
    """
    sample = queries.take(np.arange(min(STATISTICS_QUERIES, len(queries))))
    tokens = model.backbone.tokenizer.query_tokens(QueryBatch.from_histories(sample, device_of(model))).vectors
    distance = float(model.quantizer(tokens).commit_loss)
    return distance, usage_profile(usage_counts(*model.used_codes(sample)))


def train_from_scratch(
    split: Split,
    config: RunConfig,
    control: TrainingControl,
    handle: JobHandle,
    two_tower: Callable[[TrainingMonitor], Baseline] | None,
    on_models: Callable[[TrainedModels], None] = lambda models: None,
) -> RunResult:
    """Train and measure, publishing an `EpochPoint` per epoch; `two_tower` makes the baseline after SparCode, None leaves it out.

    `on_models` takes what was trained, once it is measured.

    Raises
    ------
    JobCancelled
        If it was cancelled.
    sparcode.training.trainer.DivergenceError
        If the loss or the scores are no longer finite.
    PausedTooLong
        If nobody resumed it.
    """
    monitor = TrainingMonitor(control, handle)
    backbone, before = train_backbone(split, config, monitor.on_epoch(BACKBONE), monitor.should_stop)
    handle.check()
    model = preview(backbone, split, config)
    handle.check()
    records = fine_tune(model, split, config, monitor.on_epoch(JOINT, model, split.train_queries), monitor.should_stop)
    handle.check()
    baseline = None if two_tower is None else two_tower(monitor)
    handle.check()
    index = build_run_index(model, split.train, config.index, handle.should_stop)
    tau = model.threshold
    recall, ndcg, _ = accuracy(SparseRetriever(model, index, tau, config.index.unseen), split.test, DEFAULT_K)
    upper_recall, upper_ndcg, _ = accuracy(ExactRetriever(backbone), split.test, DEFAULT_K)
    on_models(TrainedModels(backbone, tuple(before), upper_recall, upper_ndcg, model, tuple(records), index))
    return RunResult(
        recall=recall,
        ndcg=ndcg,
        size_bytes=sum(index.size_bytes(tau).values()),
        density=index.kept_postings(tau) / max(1, index.n_lists * index.n_items),
        all_to_all=upper_recall,
        two_tower=math.nan if baseline is None else baseline.recall,
        seconds=monitor.working_seconds() - monitor.started,
        machine=machine_facts(device_of(model)),
        n_users=len(split.test.queries),
    )


def train_two_tower_baseline(split: Split, config: RunConfig, handle: JobHandle, monitor: TrainingMonitor) -> Baseline:
    """Train the two-tower baseline within the same budget of epochs, and measure it; JobCancelled if it was cancelled."""
    points: list[EpochPoint] = []
    publish = monitor.on_epoch(TWO_TOWER)

    def on_epoch(record: EpochRecord) -> None:
        publish(record)
        points.append(EpochPoint(TWO_TOWER, record.epoch, record.loss, math.nan, record.recall, math.nan, math.nan, 0, 0.0, None))

    model, _ = train_two_tower(split, config, on_epoch, monitor.should_stop)
    handle.check()
    return Baseline(tuple(points), accuracy(ExactRetriever(model), split.test, DEFAULT_K)[0])
