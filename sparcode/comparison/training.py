"""The one-table comparison: SparCode through its index beside its peers, on the same data, split, loss and epochs budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from sparcode.baselines.ease import EASE
from sparcode.baselines.feature_regression import FeatureRegression
from sparcode.baselines.popularity import Popularity
from sparcode.config import RunConfig
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.split import Split, split_users
from sparcode.device import Device, choose_device
from sparcode.metrics.evaluation import accuracy, evaluate
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.contract import Retriever, check_k
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.runs.machine import machine_facts
from sparcode.runs.store import DataFacts, Run
from sparcode.training.epoch_record import never_stop
from sparcode.training.pipeline import (
    OnEpoch,
    ShouldStop,
    build_run_index,
    check_side_features,
    fine_tune,
    ignore_record,
    preview,
    serve,
    train_backbone,
    train_two_tower,
)

SPARCODE, TWO_TOWER, ALL_TO_ALL, EASE_NAME, POPULARITY = "SparCode (index)", "two-tower", "all-to-all", "EASE", "popularity"
REGRESSION = "regression"


class ComparisonStopped(Exception):
    """`should_stop` said so; there is no table."""


class Stage(NamedTuple):
    """What a comparison is doing.

    Attributes
    ----------
    name
        In words.
    epochs
        Epochs it takes at most; 0 where the work is not counted in epochs.
    """

    name: str
    epochs: int = 0


class ModelRow(NamedTuple):
    """One model's figures on the test users.

    Attributes
    ----------
    name
        What it is.
    recall, ndcg, precision
        Means over queries, at k.
    p50_ms, p95_ms
        Single-query retrieval, encoding included.
    size_bytes
        Arrays that hold what is known of items (and codes). The query encoder, which the first three models share in kind, comes on top.
    train_seconds
        Wall time of everything between the split data and a model that can serve: training and validation, for SparCode with backbone and
        index.
    epochs
        Epochs trained, all stages; 0 for closed forms.
    """

    name: str
    recall: float
    ndcg: float
    precision: float
    p50_ms: float
    p95_ms: float
    size_bytes: int
    train_seconds: float
    epochs: int


class Comparison(NamedTuple):
    """The table and what belongs beside it.

    Attributes
    ----------
    rows
        SparCode, two-tower, all-to-all, EASE, popularity, and a regression where users have published vectors; without those in `left_out`.
    k
        Items per query.
    direct_recall
        SparCode's recall at k by scoring every item with the thresholded model, no index: must be that of its row, but for quantized
        postings.
    threshold, density
        tau, and the share of (stored code, item) scores above it.
    codes_in_use
        Codes that training queries use: the index's lists.
    unseen_codes
        Codes that only test queries use.
    n_train, n_validation, n_test
        Users per part.
    dropped
        Reason -> rows or users left out while reading and splitting.
    left_out
        Model -> why it has no row.
    run
        Settings, data facts, model, index, records and the rows as plain numbers, ready for `sparcode.runs.store.save_run`.
    """

    rows: list[ModelRow]
    k: int
    direct_recall: float
    threshold: float
    density: float
    codes_in_use: int
    unseen_codes: int
    n_train: int
    n_validation: int
    n_test: int
    dropped: Mapping[str, int]
    left_out: Mapping[str, str]
    run: Run


class _Candidate(NamedTuple):
    name: str
    retriever: Retriever
    train_seconds: float
    epochs: int


def compare(
    data: Interactions,
    config: RunConfig,
    k: int = 50,
    on_stage: Callable[[Stage], None] = lambda stage: None,
    on_epoch: OnEpoch = ignore_record,
    should_stop: ShouldStop = never_stop,
    split: Split | None = None,
    device: Device = "auto",
    two_tower_config: RunConfig | None = None,
) -> Comparison:
    """Train SparCode and its peers on one split and measure all of them on the test users, once.

    Every network keeps its best checkpoint by validation recall. The two-tower model may train for as many epochs as SparCode's stages
    together.

    Parameters
    ----------
    data
        The data set.
    config
        Settings of all networks, two-tower excepted where it has its own.
    k
        Items per query.
    on_stage
        Told what starts.
    on_epoch
        Told every epoch of every network.
    should_stop
        Asked between batches and stages.
    split
        A ready-made split of the data; None splits the users as the settings say.
    device
        Where the networks are trained and measured, see `sparcode.device.choose_device`.
    two_tower_config
        Settings that suit two-tower better than SparCode's; its `split` plays no part. None: the same settings.

    Raises
    ------
    ComparisonStopped
        If `should_stop` said so.
    ValueError
        If `k` is below 1, there are too few users to split, the data lacks the side features that the settings choose, or the device is
        not there.
    DivergenceError
        If a loss is no longer finite.
    """
    check_k(k)
    chosen = choose_device(device)
    two_tower_config = two_tower_config or config
    split = _checked_split(data, split, config, two_tower_config)

    def start(name: str, epochs: int = 0) -> float:
        if should_stop():
            raise ComparisonStopped(f"stopped before: {name}")
        on_stage(Stage(name, epochs))
        return time.perf_counter()

    started = start("fitting EASE and popularity")
    floors, left_out = _floors(split)
    budget = config.training
    started = start("training the backbone", budget.epochs)
    backbone, records = train_backbone(split, config, on_epoch, should_stop, device)
    n_backbone, backbone_seconds = len(records), time.perf_counter() - started
    start("joint training", budget.joint_epochs)
    model = preview(backbone, split, config)
    records = records + fine_tune(model, split, config, on_epoch, should_stop)
    start("building the index")
    index = build_run_index(model, split.train_queries, config.index)
    sparse = serve(model, index, config.index, n_threads=torch.get_num_threads())
    sparcode_seconds = time.perf_counter() - started
    started = start("training two-tower", budget.epochs + budget.joint_epochs)
    two_tower, two_tower_records = train_two_tower(split, two_tower_config, on_epoch, should_stop, device)
    two_tower_seconds = time.perf_counter() - started

    start("measuring on the test users")
    candidates = [
        # Epoch 0 of the joint stage is the preview, no training.
        _Candidate(SPARCODE, sparse, sparcode_seconds, sum(record.epoch > 0 for record in records)),
        _Candidate(TWO_TOWER, two_tower_retriever(two_tower), two_tower_seconds, len(two_tower_records)),
        _Candidate(ALL_TO_ALL, all_to_all_retriever(backbone), backbone_seconds, n_backbone),
        *floors,
    ]
    rows = [_row(candidate, split, k) for candidate in candidates]
    results = [{**row._asdict(), "k": k} for row in rows]
    item_ids = [str(item_id) for item_id in data.item_ids]
    seen = split.user_encoding if config.model.side_features in ("users", "both") else None
    run = Run(config, data_facts(data), model, index, item_ids, data.items, records, results, machine_facts(chosen), seen)
    return Comparison(
        rows=rows,
        k=k,
        direct_recall=direct_recall(run, split, k),
        threshold=sparse.threshold,
        density=index.density(sparse.threshold),
        codes_in_use=index.n_lists,
        unseen_codes=sparse.unseen_codes,
        n_train=len(split.train),
        n_validation=len(split.validation.users),
        n_test=len(split.test.users),
        dropped={**data.dropped, **split.dropped},
        left_out=left_out,
        run=run,
    )


def _checked_split(data: Interactions, split: Split | None, config: RunConfig, two_tower_config: RunConfig) -> Split:
    """The split given or made, which has what the settings of both networks ask for."""
    if split is None:
        if config.split.protocol != "strong":
            raise ValueError(
                f"protocol {config.split.protocol!r} needs its ready-made split, see sparcode.data.fixed_split and deezer_split"
            )
        split = split_users(data, config.split)
    for settings in (config, two_tower_config):
        check_side_features(split, settings.model)
    return split


def direct_recall(run: Run, split: Split, k: int) -> float:
    """Mean recall at k on the test users by scoring every item with the thresholded model, without the index."""
    return accuracy(ExactRetriever(SparseDirectScorer(run.model, run.model.threshold)), split.test, k)[0]


def two_tower_retriever(model: TwoTowerModel) -> ExactRetriever:
    """The two-tower model served exactly: item vectors are taken out once, as a service would."""
    scorer = _DotProductScorer(model)
    return ExactRetriever(scorer, {"item vectors": scorer.item_vectors.nbytes})


def all_to_all_retriever(model: AllToAllModel) -> ExactRetriever:
    """The all-to-all model, scoring every item; its size is that of the interaction network."""
    return ExactRetriever(model, {"interaction network": sum(value.nbytes for value in model.interaction.state_dict().values())})


def data_facts(data: Interactions) -> DataFacts:
    """Which data it is, as a run keeps it."""
    return DataFacts(data.name, data.content_hash(), data.synthetic, data.n_users, data.n_items, data.n_interactions, dict(data.parts))


class _DotProductScorer:
    def __init__(self, model: TwoTowerModel) -> None:
        self.n_items = model.n_items
        self.item_vectors = model.item_vectors()
        self._model = model

    def score(self, queries: Histories) -> np.ndarray:
        return self._model.query_vectors(queries) @ self.item_vectors.T


def _floors(split: Split) -> tuple[list[_Candidate], dict[str, str]]:
    """EASE and popularity, and a regression where users have published vectors; EASE is left out, with the reason, where it cannot be."""
    floors, left_out = [], {}
    makers = {EASE_NAME: lambda: EASE().fit(split.train), POPULARITY: lambda: Popularity().fit(split.train)}
    if reason := split.protocol.without_history:
        del makers[EASE_NAME]
        left_out[EASE_NAME] = reason
    if split.user_vectors is not None and split.item_features is not None:
        vectors = (split.user_vectors, split.item_features)
        makers[REGRESSION] = lambda: FeatureRegression().fit(split.train, *vectors)
    for name, make in makers.items():
        started = time.perf_counter()
        try:
            scorer = make()
        except ValueError as error:
            left_out[name] = str(error)
            continue
        floors.append(_Candidate(name, ExactRetriever(scorer), time.perf_counter() - started, 0))
    return floors, left_out


def _row(candidate: _Candidate, split: Split, k: int) -> ModelRow:
    result = evaluate(candidate.retriever, split.test, k)
    return ModelRow(
        name=candidate.name,
        recall=result.recall,
        ndcg=result.ndcg,
        precision=result.precision,
        p50_ms=result.latency.p50_ms,
        p95_ms=result.latency.p95_ms,
        size_bytes=sum(result.size_bytes.values()),
        train_seconds=candidate.train_seconds,
        epochs=candidate.epochs,
    )
