"""Every way to serve the trained models that `benchmarks.end_to_end` compares, each at several settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.interleaved_timing import Call
from benchmarks.trained_models import TrainedModels
from sparcode.comparison import all_to_all_retriever
from sparcode.config import RunConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import Split
from sparcode.index.csr_search import CsrRetriever
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import KeepDensity
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.pipeline import build_run_index
from sparcode.retrieval import ExactRetriever, FaissRetriever, Retriever, SparseDirectScorer, SparseRetriever

SPARCODE, FLAT, HNSW = "SparCode (index)", "two-tower, Flat", "two-tower, HNSW"
IVF_FLAT, IVF_PQ = "two-tower, IVF-Flat", "two-tower, IVF-PQ"
CSR, DIRECT, ALL_TO_ALL = "SparCode (scipy CSR)", "SparCode (direct)", "all-to-all"
K = 50
KINDS = (SPARCODE, FLAT, HNSW, IVF_FLAT, IVF_PQ, CSR, DIRECT, ALL_TO_ALL)


class Peer(NamedTuple):
    """A retriever at one setting.

    Attributes
    ----------
    kind
        One of `KINDS`.
    setting
        What was set, in words; empty where there is nothing to set.
    retriever
        Serves.
    call
        The same in two steps, for timing.
    """

    kind: str
    setting: str
    retriever: Retriever
    call: Call

    @property
    def name(self) -> str:
        """Kind and setting."""
        return f"{self.kind}, {self.setting}" if self.setting else self.kind


class Sweep(NamedTuple):
    """Settings to serve at.

    Attributes
    ----------
    densities
        Shares of scores that SparCode's index keeps.
    links, ef_search
        Of HNSW: links per item, candidates per query. No search looks at fewer candidates than it is to return.
    n_lists
        Cells of IVF-Flat and IVF-PQ; 0 is the square root of the catalogue.
    n_probe
        Cells that they visit.
    """

    densities: tuple[float, ...] = (0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.02)
    links: tuple[int, ...] = (8, 16, 32)
    ef_search: tuple[int, ...] = (16, 64, 128, 256, 512)
    n_lists: tuple[int, ...] = (16, 0)
    n_probe: tuple[int, ...] = (1, 2, 4, 8, 16, 32)


QUICK_SWEEP = Sweep(densities=(0.2, 0.05), links=(16,), ef_search=(16, 128), n_lists=(0,), n_probe=(4, 16))


def peers(models: TrainedModels, split: Split, config: RunConfig, sweep: Sweep, n_threads: int) -> list[Peer]:
    """Build all of them.

    Parameters
    ----------
    models
        Trained on `split`.
    split
        Its training queries say which codes have a list.
    config
        Index settings.
    sweep
        Settings to serve at.
    n_threads
        Threads that a batch may use in SparCode's index.
    """
    found = list(_two_tower_peers(models.two_tower, sweep))
    for nearest, model in models.sparcode.items():
        index = build_run_index(model, split.train_queries, config.index)
        found += _sparse_peers(model, index, nearest, sweep, config, n_threads)
    exact = all_to_all_retriever(models.backbone)
    return [*found, Peer(ALL_TO_ALL, "", exact, _whole(exact))]


def _sparse_peers(
    model: SparCodeModel, index: InvertedIndex, nearest: int, sweep: Sweep, config: RunConfig, n_threads: int
) -> Iterator[Peer]:
    for density in sweep.densities:
        threshold, setting = KeepDensity(density).threshold(index), f"P = {nearest}, {density:.3g} of scores"
        retriever = SparseRetriever(model, index, threshold, config.index.unseen, n_threads)
        yield Peer(SPARCODE, setting, retriever, _of_codes(model, retriever))
        product = CsrRetriever(model, index, threshold, config.index.unseen)
        yield Peer(CSR, setting, product, _of_codes(model, product))
    threshold = KeepDensity(sweep.densities[0]).threshold(index)
    network = {"interaction network": sum(value.nbytes for value in model.backbone.interaction.state_dict().values())}
    direct = ExactRetriever(SparseDirectScorer(model, threshold), network)
    yield Peer(DIRECT, f"P = {nearest}, {sweep.densities[0]:.3g} of scores", direct, _whole(direct))


def _two_tower_peers(model: TwoTowerModel, sweep: Sweep) -> Iterator[Peer]:
    def peer(kind: str, setting: str, retriever: FaissRetriever) -> Peer:
        return Peer(
            kind, setting, retriever, Call(model.query_vectors, lambda vectors, query: retriever.retrieve_vectors(vectors, query, K))
        )

    yield peer(FLAT, "", FaissRetriever(model, "flat"))
    for links in sweep.links:
        built = FaissRetriever(model, "hnsw", {"n_links": links})
        for ef in sweep.ef_search:
            yield peer(HNSW, f"{links} links, efSearch {ef}", built.with_params({"ef_search": ef}))
    for kind, name in (("ivfflat", IVF_FLAT), ("ivfpq", IVF_PQ)):
        for asked in sweep.n_lists:
            n_lists = min(asked or int(np.sqrt(model.n_items)), model.n_items)
            built = FaissRetriever(model, kind, {"n_lists": n_lists})
            for n_probe in sorted({min(n_probe, n_lists) for n_probe in sweep.n_probe}):
                yield peer(name, f"{n_probe} of {n_lists} cells", built.with_params({"n_probe": n_probe}))


def _of_codes(model: SparCodeModel, retriever: SparseRetriever | CsrRetriever) -> Call:
    return Call(model.encode, lambda encoded, query: retriever.retrieve_codes(*encoded, query, K))


def _whole(retriever: Retriever) -> Call:
    """A retriever that does not encode apart: all of its time counts as retrieval."""
    return Call(_nothing, lambda _, query: retriever.retrieve(query, K))


def _nothing(query: Histories) -> None:
    """Encode later."""
