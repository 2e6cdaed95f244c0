"""SparCode beside its peers on one split: each trained, then measured on the test users in the same way."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from app.jobs.job import JobHandle
from app.models.trained import Backbone, Recording, TrainedTwoTower, Tuned
from sparcode.baselines.ease import EASE
from sparcode.baselines.popularity import Popularity
from sparcode.comparison.training import ALL_TO_ALL, EASE_NAME, POPULARITY, TWO_TOWER, all_to_all_retriever, two_tower_retriever
from sparcode.config import RunConfig
from sparcode.data.split import Split
from sparcode.metrics.evaluation import Evaluation, evaluate
from sparcode.retrieval.contract import Retriever
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.pipeline import OnEpoch, build_run_index, serve, train_two_tower

# The index is in the column beside it.
SPARCODE: Final = "SparCode"
FAISS_NOTES: Final = {
    "flat": "faiss Flat, every vector",
    "hnsw": "faiss HNSW, graph of near neighbours",
    "ivfpq": "faiss IVF-PQ, compressed vectors in cells",
}


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
    trained
        When and where it was trained, if not where it was measured.
    """

    name: str
    note: str
    result: Evaluation
    train_seconds: float
    trained: Recording | None = None


class Comparison(NamedTuple):
    """The finished table.

    Attributes
    ----------
    rows
        In the order they are shown.
    left_out
        Why there is no row for a model, one sentence each.
    recording
        When and where all of it was measured, if not here: latency and training time are those of that machine.
    """

    rows: tuple[ModelRow, ...]
    left_out: tuple[str, ...]
    recording: Recording | None = None


class Step(NamedTuple):
    """What a comparison is doing: a step's name, and the epoch it has reached (None outside training)."""

    name: str
    record: EpochRecord | None


def compare(
    split: Split,
    config: RunConfig,
    backbone: Backbone,
    tuned: Tuned,
    handle: JobHandle,
    two_tower: Callable[[OnEpoch], TrainedTwoTower] | None = None,
) -> Comparison:
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
    two_tower
        Gives the model of its name where it may be trained already, and tells the epochs if it is not; None trains it here.
    """
    rows: list[ModelRow] = []

    def told(record: EpochRecord) -> None:
        handle.publish(Step("training two-tower", record))

    def add(name: str, note: str, retriever: Retriever, train_seconds: float, trained: Recording | None = None) -> None:
        handle.check()
        rows.append(ModelRow(name, note, evaluate(retriever, split.test), train_seconds, trained))
        handle.publish(rows[-1])

    handle.publish(Step("measuring SparCode", None))
    index = build_run_index(tuned.model, split.train, config.index, handle.should_stop)
    sparse = serve(tuned.model, index, config.index)
    add(SPARCODE, "sparse inverted index", sparse, backbone.seconds + tuned.seconds, tuned.recording)
    unquantized = all_to_all_retriever(backbone.model)
    add(ALL_TO_ALL, "the same network without codes, scores every item", unquantized, backbone.seconds, backbone.recording)

    peer = two_tower(told) if two_tower is not None else train_peer(split, config, told, handle)
    add(TWO_TOWER, "dot product with every item", two_tower_retriever(peer.model), peer.seconds)
    left_out = []

    def add_if_possible(name: str, note: str, make: Callable[[], Retriever], earlier_seconds: float = 0.0) -> None:
        started = time.perf_counter()
        try:
            retriever = make()
        except (ValueError, RuntimeError) as error:
            # A catalogue too small for an index's cells, or too large for EASE's matrix, leaves the others.
            left_out.append(f"{name} is left out: {error}")
            return
        add(name, note, retriever, earlier_seconds + time.perf_counter() - started)

    handle.publish(Step("building faiss indexes of two-tower's vectors", None))
    for kind, note in FAISS_NOTES.items():
        add_if_possible(f"{TWO_TOWER}, faiss {kind}", note, functools.partial(FaissRetriever, peer.model, kind), peer.seconds)
    handle.publish(Step("fitting EASE and popularity", None))
    add_if_possible(EASE_NAME, "item-to-item weights, closed form", lambda: ExactRetriever(EASE().fit(split.train)))
    add_if_possible(POPULARITY, "the same items for everyone", lambda: ExactRetriever(Popularity().fit(split.train)))
    return Comparison(tuple(rows), tuple(left_out))


def train_peer(split: Split, config: RunConfig, on_epoch: OnEpoch, handle: JobHandle) -> TrainedTwoTower:
    """Train two-tower on the same users and with the same budget as SparCode.

    Parameters
    ----------
    split, config
        As for `sparcode.training.pipeline.train_two_tower`.
    on_epoch
        Told every epoch.
    handle
        Asked whether to stop.

    Raises
    ------
    JobCancelled
        If it said so: half a training is no peer.
    """
    started = time.perf_counter()
    model, records = train_two_tower(split, config, on_epoch, handle.should_stop)
    handle.check()
    return TrainedTwoTower(model, len(records), time.perf_counter() - started)
