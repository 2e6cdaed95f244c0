"""Ways to serve SparCode and its peers, each at several settings, ready to be measured beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from sparcode.comparison.interleaved_timing import Call
from sparcode.comparison.training import all_to_all_retriever
from sparcode.data.interactions import Histories
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import KeepDensity
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.contract import Retriever
from sparcode.retrieval.faiss import FaissRetriever, hnsw_width
from sparcode.retrieval.faiss_index import HNSWConfig
from sparcode.retrieval.list_store import Unseen
from sparcode.retrieval.sparse import SparseRetriever

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
    exclude
        What HNSW does with items that a query has seen.
    k_factor
        Re-ranking of IVF-PQ, see `IVFPQConfig`; 0 is none.
    """

    densities: tuple[float, ...] = (0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.02)
    links: tuple[int, ...] = (8, 16, 32)
    ef_search: tuple[int, ...] = (16, 64, 128, 256, 512)
    n_lists: tuple[int, ...] = (16, 0)
    n_probe: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    exclude: tuple[Literal["ask_more", "selector"], ...] = ("ask_more",)
    k_factor: tuple[float, ...] = (0.0,)


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


def two_tower_peers(model: TwoTowerModel, sweep: Sweep, asked: Histories | None = None) -> Iterator[Peer]:
    """Two-tower's item vectors in every faiss index of the sweep; a kind's settings in order of rising effort.

    Parameters
    ----------
    model
        Trained.
    sweep
        Its `densities` play no part.
    asked
        Queries; HNSW's settings are then named by the efSearch that these are searched with on average, not by the one asked for.
    """
    yield _vector_peer(model, FLAT, "", FaissRetriever(model, "flat"))
    for links in sweep.links:
        built = FaissRetriever(model, "hnsw", {"n_links": links})
        searched: dict[str, FaissRetriever] = {}
        for exclude, ef in product(sweep.exclude, sweep.ef_search):
            retriever = built.with_params({"ef_search": ef, "exclude": exclude})
            searched.setdefault(hnsw_words(retriever.config, asked), retriever)  # the same words are the same search
        for words, retriever in searched.items():
            yield _vector_peer(model, HNSW, f"{links} links, {words}", retriever)
    for n_lists in sorted({min(n_cells or int(np.sqrt(model.n_items)), model.n_items) for n_cells in sweep.n_lists}):
        yield from _cells(model, FaissRetriever(model, "ivfflat", {"n_lists": n_lists}), IVF_FLAT, "", n_lists, sweep.n_probe)
    for n_lists in sorted({min(n_cells or int(np.sqrt(model.n_items)), model.n_items) for n_cells in sweep.n_lists}):
        for factor in sweep.k_factor:
            built = FaissRetriever(model, "ivfpq", {"n_lists": n_lists, "k_factor": factor})
            words = f", {factor:g} times as many ranked again" if factor else ""
            yield from _cells(model, built, IVF_PQ, words, n_lists, sweep.n_probe)


def _cells(model: TwoTowerModel, built: FaissRetriever, kind: str, words: str, n_lists: int, n_probe: tuple[int, ...]) -> Iterator[Peer]:
    for visited in sorted({min(visited, n_lists) for visited in n_probe}):
        yield _vector_peer(model, kind, f"{visited} of {n_lists} cells{words}", built.with_params({"n_probe": visited}))


def hnsw_words(config: HNSWConfig, asked: Histories | None) -> str:
    """A setting of HNSW's search in words.

    Parameters
    ----------
    config
        The setting.
    asked
        Queries with what they have seen; None: the efSearch that is asked for.
    """
    if asked is None:
        return f"efSearch {config.ef_search}" + (", selector" if config.exclude == "selector" else "")
    used = [hnsw_width(config, K, n_seen, asked.n_items) for n_seen in asked.lengths.tolist()]
    if config.exclude == "selector":
        return f"selector, efSearch {max(used)}"
    spread = f"{used[0]}" if min(used) == max(used) else f"{np.mean(used):.0f} on average (at least {config.ef_search})"
    return f"efSearch {spread}"


def _vector_peer(model: TwoTowerModel, kind: str, setting: str, retriever: FaissRetriever) -> Peer:
    return Peer(kind, setting, retriever, Call(model.query_vectors, lambda vectors, query: retriever.retrieve_vectors(vectors, query, K)))


def all_to_all_peer(model: AllToAllModel) -> Peer:
    """The all-to-all model, scoring every item.

    Parameters
    ----------
    model
        Trained.
    """
    exact = all_to_all_retriever(model)
    return Peer(ALL_TO_ALL, "", exact, whole(exact))


def of_codes(model: SparCodeModel, retriever: SparseRetriever) -> Call:
    """A retriever that takes the model's codes."""
    return Call(model.encode, lambda encoded, query: retriever.retrieve_codes(*encoded, query, K))


def whole(retriever: Retriever) -> Call:
    """A retriever that does not encode apart: all of its time counts as retrieval."""
    return Call(_nothing, lambda _, query: retriever.retrieve(query, K))


def _nothing(query: Histories) -> None:
    """Encode later."""
