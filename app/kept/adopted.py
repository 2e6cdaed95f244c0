"""A run folder with its sources, made elsewhere (a trial of a sweep), as a finished run of the studio: so it can be kept and opened."""

from __future__ import annotations

import math
from pathlib import Path

from app.training.data import training_data
from app.training.plan import FinishedRun, RunPlan
from app.training.run import BACKBONE, JOINT, EpochPoint, RunResult, TrainedModels
from sparcode.config import DEFAULT_K
from sparcode.data.split import split_users
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.sources import load_sources
from sparcode.runs.store import load_run
from sparcode.training.epoch_record import EpochRecord


def adopted_run(folder: Path, data_key: str = "") -> FinishedRun:
    """Read a run and measure it on the test users, for `app.kept.runs.KeptRuns.keep`.

    `data_key` is the key of its data among those of the studio, if it has one. ValueError, which names the file, if the run or what lies
    beside it is missing or damaged.
    """
    run = load_run(folder)
    interactions, backbone = load_sources(folder, run)
    config, model, index = run.config, run.model, run.index
    split = split_users(interactions, config.split)
    # Epoch 0, the codes before joint training, comes first among SparCode's own.
    first = next((place for place, record in enumerate(run.records) if record.epoch == 0), len(run.records))
    before, after = tuple(run.records[:first]), tuple(run.records[first:])
    tau = max(model.threshold, index.floor)
    recall, ndcg, _ = accuracy(SparseRetriever(model, index, tau, config.index.unseen), split.test, DEFAULT_K)
    upper_recall, upper_ndcg, _ = accuracy(ExactRetriever(backbone), split.test, DEFAULT_K)
    result = RunResult(
        recall=recall,
        ndcg=ndcg,
        size_bytes=sum(index.size_bytes(tau).values()),
        density=index.density(tau),
        all_to_all=upper_recall,
        two_tower=math.nan,
        seconds=sum(record.train_seconds for record in run.records),
        machine=run.machine,
        n_users=len(split.test.queries),
    )
    data = training_data(data_key or run.data.content_hash, interactions, split)
    points = tuple(_point(record, BACKBONE if place < first else JOINT) for place, record in enumerate(run.records))
    models = TrainedModels(backbone, before, upper_recall, upper_ndcg, model, after, index)
    return FinishedRun(RunPlan(0, data, config, two_tower=False), points, result, models)


def _point(record: EpochRecord, stage: str) -> EpochPoint:
    """An epoch as the Train page shows it; distances of tokens to their codes were not measured."""
    figures = (record.recall, record.perplexity, record.dead_share, record.codes_in_use, record.train_seconds)
    return EpochPoint(stage, record.epoch, record.loss, math.nan, *figures, None)
