"""SparCode beside its peers on one split: each trained, then measured on the test users in the same way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from torch import nn

from app.jobs import JobHandle
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.evaluation import Evaluation, evaluate
from sparcode.pipeline import build_run_index, fit_floors, train_two_tower
from sparcode.retrieval import ExactRetriever, Retriever, SparseRetriever
from sparcode.training import EpochRecord

if TYPE_CHECKING:
    from app.studio import Backbone, Tuned


class ModelRow(NamedTuple):
    """One model's figures.

    Attributes
    ----------
    name, note
        What it is, and how it is served.
    result
        Accuracy, latency and bytes on the test users.
    train_seconds
        All the training behind it.
    """

    name: str
    note: str
    result: Evaluation
    train_seconds: float


class Comparison(NamedTuple):
    """Rows in the order they are shown, and the settings behind them."""

    rows: tuple[ModelRow, ...]
    config: RunConfig


class Step(NamedTuple):
    """What a comparison is doing: a step's name, and the epoch it has reached (None outside training)."""

    name: str
    record: EpochRecord | None


def compare(split: Split, config: RunConfig, backbone: Backbone, tuned: Tuned, handle: JobHandle) -> Comparison:
    """Measure SparCode and the backbone, train and measure the peers.

    Parameters
    ----------
    split
        The same for all.
    config
        The settings all were trained with.
    backbone, tuned
        Trained already.
    handle
        Told each `Step` and each `ModelRow` as it is ready.
    """
    rows: list[ModelRow] = []

    def add(name: str, note: str, retriever: Retriever, train_seconds: float) -> None:
        handle.check()
        rows.append(ModelRow(name, note, evaluate(retriever, split.test), train_seconds))
        handle.publish(rows[-1])

    handle.publish(Step("measuring SparCode", None))
    index = build_run_index(tuned.model, split.train, config.index, handle.should_stop)
    sparse = SparseRetriever(tuned.model, index, tuned.model.threshold)
    add("SparCode", "sparse inverted index", sparse, backbone.seconds + tuned.seconds)
    all_to_all = ExactRetriever(backbone.model, {"network": _bytes(backbone.model.interaction)})
    add("all-to-all", "the same network without codes, scores every item", all_to_all, backbone.seconds)

    started = time.perf_counter()
    two_tower, _ = train_two_tower(split, config, lambda record: handle.publish(Step("training two-tower", record)), handle.should_stop)
    seconds = time.perf_counter() - started
    add("two-tower", "dot product with every item", ExactRetriever(two_tower, {"items": two_tower.item_vectors().nbytes}), seconds)

    handle.publish(Step("fitting EASE and popularity", None))
    started = time.perf_counter()
    ease, popularity = fit_floors(split.train)
    seconds = time.perf_counter() - started
    add("EASE", "item-to-item weights, closed form", ExactRetriever(ease), seconds)
    add("popularity", "the same items for everyone", ExactRetriever(popularity), 0.0)
    return Comparison(tuple(rows), config)


def _bytes(module: nn.Module) -> int:
    return sum(value.nbytes for value in module.state_dict().values())
