"""Ways to serve SparCode and its peers, each at several settings, ready to be measured beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sparcode.comparison import all_to_all_retriever
from sparcode.data.interactions import Histories
from sparcode.index.csr_search import CsrRetriever
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import KeepDensity
from sparcode.index.sparse_search import Unseen
from sparcode.interleaved_timing import Call
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval import FaissRetriever, Retriever, SparseRetriever

SPARCODE, FLAT, HNSW = "SparCode (index)", "two-tower, Flat", "two-tower, HNSW"
IVF_FLAT, IVF_PQ, ALL_TO_ALL = "two-tower, IVF-Flat", "two-tower, IVF-PQ", "all-to-all"
K = 50


class Peer(NamedTuple):
    """A retriever at one setting.

    Attributes
    ----------
    kind
        What it is.
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


def sparse_peers(model: SparCodeModel, index: InvertedIndex, densities: Sequence[float], unseen: Unseen, n_threads: int) -> Iterator[Peer]:
    """SparCode at several thresholds of one index.

    Parameters
    ----------
    model, index
        The model, and the index built from it.
    densities
        Shares of scores to keep; one above what the index stores is what it stores.
    unseen
        See `SparseRetriever`.
    n_threads
        Threads that a batch may use; a single query uses one.
    """
    for density in densities:
        retriever = SparseRetriever(model, index, KeepDensity(density).threshold(index), unseen, n_threads)
        yield Peer(SPARCODE, f"{100 * density:.3g}% of scores", retriever, of_codes(model, retriever))


def two_tower_peers(model: TwoTowerModel, sweep: Sweep) -> Iterator[Peer]:
    """Two-tower's item vectors in every faiss index of the sweep; a kind's settings in order of rising effort.

    Parameters
    ----------
    model
        Trained.
    sweep
        Its `densities` play no part.
    """

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


def all_to_all_peer(model: AllToAllModel) -> Peer:
    """The all-to-all model, scoring every item.

    Parameters
    ----------
    model
        Trained.
    """
    exact = all_to_all_retriever(model)
    return Peer(ALL_TO_ALL, "", exact, whole(exact))


def of_codes(model: SparCodeModel, retriever: SparseRetriever | CsrRetriever) -> Call:
    """A retriever that takes the model's codes."""
    return Call(model.encode, lambda encoded, query: retriever.retrieve_codes(*encoded, query, K))


def whole(retriever: Retriever) -> Call:
    """A retriever that does not encode apart: all of its time counts as retrieval."""
    return Call(_nothing, lambda _, query: retriever.retrieve(query, K))


def _nothing(query: Histories) -> None:
    """Encode later."""
