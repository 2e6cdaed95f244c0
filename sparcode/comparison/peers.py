"""The roster: every model of a comparison, SparCode included; how it is trained, how it is served, and what it needs.

A new peer is one class (or a baseline for `BaselinePeer`) and one row of `ROSTER`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby, product
from typing import Literal, NamedTuple

import numpy as np
import torch

from sparcode.baselines.cooccurrence import Cooccurrence, Exponents
from sparcode.baselines.ease import EASE
from sparcode.baselines.feature_regression import FeatureRegression
from sparcode.baselines.popularity import Popularity
from sparcode.comparison.interleaved_timing import Call
from sparcode.comparison.training import Models, Trained
from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Histories
from sparcode.data.split import Split
from sparcode.index.pruning import KeepDensity
from sparcode.metrics.accuracy import accuracy_by_query
from sparcode.model.query_batch import QUERY_BLOCK
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.contract import Retriever, Scorer
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.faiss import FaissRetriever, hnsw_width
from sparcode.retrieval.faiss_index import HNSWConfig
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.retrieval.top_k import top_k
from sparcode.training.pipeline import serve

SPARCODE, TWO_TOWER, ALL_TO_ALL = "SparCode (index)", "two-tower", "all-to-all"
FLAT, HNSW, IVF_FLAT, IVF_PQ = "two-tower Flat", "two-tower HNSW", "two-tower IVF-Flat", "two-tower IVF-PQ"
EASE_NAME, COOCCURRENCE, POPULARITY, REGRESSION = "EASE", "item co-occurrence", "popularity", "regression"

# The best of these by validation recall serves; sparse catalogues want a low b and c near 1, dense ones a higher b and a lower c.
COOCCURRENCE_GRID = tuple(Exponents(a, b, c) for c, a, b in product((0.4, 0.7, 1.0), (0.4, 0.6, 0.8), (0.25, 0.4, 0.55, 0.7)))
# Validation users that the exponents are chosen on: the first so many.
GRID_USERS = 2_000


class CannotRun(Exception):
    """Why a peer is not available on this data."""


# A requirement of a peer: the reason why a split does not meet it, None where it does.
Need = Callable[[Split], str | None]


def histories(split: Split) -> str | None:
    """The split's queries show a history."""
    return split.protocol.without_history or None


def user_vectors(split: Split) -> str | None:
    """The data has published vectors of users and items; the reason is empty, so that other data is not told about it."""
    return "" if split.user_vectors is None or split.item_features is None else None


class Sweep(NamedTuple):
    """Settings to serve at.

    Attributes
    ----------
    densities
        Shares of scores that SparCode's index keeps, at most what it stores.
    links, ef_search
        Of HNSW: links per item, candidates per query (at least the items to return).
    n_lists, n_probe
        Cells of IVF-Flat and IVF-PQ, 0 for the square root of the catalogue; cells visited.
    exclude
        What HNSW does with items that a query has seen.
    k_factor
        Re-ranking of IVF-PQ, see `IVFPQConfig`; 0 is none.
    n_threads
        Threads that a batch may use in SparCode's index; a single query uses one.
    asked
        Queries; HNSW's settings are then named by the efSearch that these use on average, not by the requested one.
    k
        Items asked for when searches are timed.
    """

    densities: tuple[float, ...] = (0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.02)
    links: tuple[int, ...] = (8, 16, 32)
    ef_search: tuple[int, ...] = (16, 64, 128, 256, 512)
    n_lists: tuple[int, ...] = (16, 0)
    n_probe: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    exclude: tuple[Literal["ask_more", "selector"], ...] = ("ask_more",)
    k_factor: tuple[float, ...] = (0.0,)
    n_threads: int = 1
    asked: Histories | None = None
    k: int = DEFAULT_K


class PeerAtSetting(NamedTuple):
    """A peer's retriever at one setting.

    Attributes
    ----------
    setting
        What was set, in words; empty where there is nothing to set.
    call
        The retriever in two steps, for timing.
    slow
        Whether it scores every item by a network: a large catalogue is timed on fewer queries.
    """

    name: str
    setting: str
    retriever: Retriever
    call: Call
    slow: bool = False

    @property
    def label(self) -> str:
        """Name and setting."""
        return f"{self.name}, {self.setting}" if self.setting else self.name


class Peer(ABC):
    """A model of the roster.

    Attributes
    ----------
    name
        As every table and chart names it.
    served_by
        How it is served, in words.
    needs
        It is left out of splits that lack one of these.
    slow
        See `PeerAtSetting`.
    """

    name: str
    served_by: str
    needs: tuple[Need, ...] = ()
    slow: bool = False

    @abstractmethod
    def train(self, models: Models) -> Trained:
        """Train it on the split of `models`; CannotRun if this data does not allow it. Its seconds include all training behind it."""

    @abstractmethod
    def retriever(self, trained: Trained, models: Models) -> Retriever:
        """Serve the trained model at its default setting; raises as `train`."""

    def at_settings(self, trained: Trained, models: Models, sweep: Sweep) -> Iterator[PeerAtSetting]:
        """Serve the trained model at every setting of a sweep, in order of rising effort; raises as `train`."""
        retriever = self.retriever(trained, models)
        yield PeerAtSetting(self.name, "", retriever, whole(retriever), self.slow)


class SparCode(Peer):
    """SparCode through its inverted index."""

    name, served_by = SPARCODE, "sparse inverted index"

    def train(self, models: Models) -> Trained:
        """Backbone, joint training and index."""
        index, parts = models.get("index"), [models.get("backbone"), models.get("sparcode")]
        records = tuple(record for part in parts for record in part.records)
        return Trained(parts[1].model, sum(part.seconds for part in (*parts, index)), records, parts[1].where)

    def retriever(self, trained: Trained, models: Models) -> SparseRetriever:
        """In the configured layout, at the threshold of its training."""
        return serve(trained.model, models.get("index").model, models.config.index, n_threads=torch.get_num_threads())

    def at_settings(self, trained: Trained, models: Models, sweep: Sweep) -> Iterator[PeerAtSetting]:
        """Several thresholds of one index."""
        index, model = models.get("index").model, trained.model
        for density in sweep.densities:
            threshold = KeepDensity(density, model.first_list_code).threshold(index)
            retriever = SparseRetriever(model, index, threshold, models.config.index.unseen, sweep.n_threads)
            yield PeerAtSetting(self.name, f"{100 * density:.3g}% of scores", retriever, of_codes(model, retriever, sweep.k))


class TwoTower(Peer):
    """Two-tower, with its dot product with every item."""

    name, served_by = TWO_TOWER, "dot product with every item"

    def train(self, models: Models) -> Trained:
        """For as many epochs as SparCode's stages together."""
        return models.get("two-tower")

    def retriever(self, trained: Trained, models: Models) -> ExactRetriever:
        """Item vectors are computed once, as in a service."""
        scorer = _DotProductScorer(trained.model)
        return ExactRetriever(scorer, {"item vectors": scorer.item_vectors.nbytes})


class TwoTowerIndex(Peer):
    """Two-tower's item vectors in one kind of faiss index."""

    def __init__(self, name: str, kind: Literal["flat", "hnsw", "ivfflat", "ivfpq"], served_by: str) -> None:
        self.name, self.served_by, self._kind = name, served_by, kind

    def train(self, models: Models) -> Trained:
        """The two-tower model, shared by all kinds."""
        return models.get("two-tower")

    def retriever(self, trained: Trained, models: Models) -> FaissRetriever:
        """A catalogue too small for an index's cells raises `CannotRun`."""
        return self._built(trained.model)

    def at_settings(self, trained: Trained, models: Models, sweep: Sweep) -> Iterator[PeerAtSetting]:
        """Every setting of this kind in the sweep."""
        settings = {"flat": self._flat, "hnsw": self._graphs, "ivfflat": self._cells, "ivfpq": self._cells}
        for words, retriever in settings[self._kind](trained.model, sweep):
            yield PeerAtSetting(self.name, words, retriever, of_vectors(trained.model, retriever, sweep.k))

    def _built(self, model: TwoTowerModel, params: dict[str, float] | None = None) -> FaissRetriever:
        with refusing(ValueError, RuntimeError):
            return FaissRetriever(model, self._kind, params)

    def _flat(self, model: TwoTowerModel, sweep: Sweep) -> Iterator[tuple[str, FaissRetriever]]:
        yield "", self._built(model)

    def _graphs(self, model: TwoTowerModel, sweep: Sweep) -> Iterator[tuple[str, FaissRetriever]]:
        for links in sweep.links:
            built = self._built(model, {"n_links": links})
            searched: dict[str, FaissRetriever] = {}
            for exclude, ef in product(sweep.exclude, sweep.ef_search):
                retriever = built.with_params({"ef_search": ef, "exclude": exclude})
                searched.setdefault(hnsw_words(retriever.config, sweep.asked, sweep.k), retriever)  # the same words are the same search
            for words, retriever in searched.items():
                yield f"{links} links, {words}", retriever

    def _cells(self, model: TwoTowerModel, sweep: Sweep) -> Iterator[tuple[str, FaissRetriever]]:
        for n_lists in sorted({min(n_cells or int(np.sqrt(model.n_items)), model.n_items) for n_cells in sweep.n_lists}):
            for factor in sweep.k_factor if self._kind == "ivfpq" else (0.0,):
                built = self._built(model, {"n_lists": n_lists} | ({"k_factor": factor} if self._kind == "ivfpq" else {}))
                again = f", {factor:g} times as many ranked again" if factor else ""
                for visited in sorted({min(visited, n_lists) for visited in sweep.n_probe}):
                    yield f"{visited} of {n_lists} cells{again}", built.with_params({"n_probe": visited})


class AllToAll(Peer):
    """The network without codes, scoring every item: an upper bound for codes."""

    name, served_by, slow = ALL_TO_ALL, "the same network without codes, scores every item", True

    def train(self, models: Models) -> Trained:
        """The backbone that SparCode started from."""
        return models.get("backbone")

    def retriever(self, trained: Trained, models: Models) -> ExactRetriever:
        """Its size is that of the interaction network."""
        network = trained.model.interaction.state_dict().values()
        return ExactRetriever(trained.model, {"interaction network": sum(value.nbytes for value in network)})


class BaselinePeer(Peer):
    """A baseline in closed form; `fit` makes it from a split, and its ValueError or MemoryError is the reason to leave it out.

    `fit` is also given a call to make now and then, which may raise to stop it.
    """

    def __init__(self, name: str, served_by: str, fit: Callable[[Split, Callable[[], None]], Scorer], need: Need | None = None) -> None:
        self.name, self.served_by, self._fit, self.needs = name, served_by, fit, () if need is None else (need,)

    def train(self, models: Models) -> Trained:
        """Fit it to the training users, once for all calls with these models."""
        return models.baseline(self.name, lambda: self._fitted(models))

    def _fitted(self, models: Models) -> Trained:
        started = models.start(f"fitting {self.name}")
        with refusing(ValueError, MemoryError):
            return Trained(self._fit(models.split, models.check), time.perf_counter() - started)

    def retriever(self, trained: Trained, models: Models) -> ExactRetriever:
        """Every item is scored."""
        return ExactRetriever(trained.model)


def chosen_cooccurrence(split: Split, check: Callable[[], None] = lambda: None) -> Cooccurrence:
    """Co-occurrence with the exponents of `COOCCURRENCE_GRID` that have the best validation recall; ties go to the first.

    `check` is called between blocks of users, and may raise to stop it.
    """
    users = np.arange(min(GRID_USERS, len(split.validation.queries)))
    recalls: dict[Exponents, list[np.ndarray]] = {point: [] for point in COOCCURRENCE_GRID}
    for c, of_c in groupby(COOCCURRENCE_GRID, key=lambda point: point.c):
        counted = Cooccurrence(Exponents(0, 0, c)).fit(split.train)
        for a, points in groupby(of_c, key=lambda point: point.a):
            # The product with the counts, which takes the time, is the same for every b.
            without_b = counted.with_discounts(a, 0)
            bs = list(points)
            for rows in np.array_split(users, -(-len(users) // QUERY_BLOCK)):
                check()
                queries, targets = split.validation.queries.take(rows), split.validation.targets.take(rows)
                scores = without_b.score(queries)
                for point in bs:
                    found = top_k(scores * without_b.discounts(point.b), DEFAULT_K, queries).item_ids
                    recalls[point].append(accuracy_by_query(found, targets, DEFAULT_K, split.protocol).recall)
    best = max(recalls, key=lambda point: np.nanmean(np.concatenate(recalls[point])))
    # Counted again: the counts of every c at once could take gigabytes.
    return Cooccurrence(best).fit(split.train)


ROSTER: tuple[Peer, ...] = (
    SparCode(),
    TwoTower(),
    TwoTowerIndex(FLAT, "flat", "faiss Flat, every vector"),
    TwoTowerIndex(HNSW, "hnsw", "faiss HNSW, graph of near neighbours"),
    TwoTowerIndex(IVF_FLAT, "ivfflat", "faiss IVF-Flat, vectors in cells"),
    TwoTowerIndex(IVF_PQ, "ivfpq", "faiss IVF-PQ, compressed vectors in cells"),
    AllToAll(),
    BaselinePeer(EASE_NAME, "item-to-item weights, closed form", lambda split, check: EASE().fit(split.train), histories),
    BaselinePeer(COOCCURRENCE, "sparse item-to-item counts", chosen_cooccurrence, histories),
    BaselinePeer(POPULARITY, "the same items for everyone", lambda split, check: Popularity().fit(split.train)),
    BaselinePeer(
        REGRESSION,
        "side features mapped to published user vectors",
        lambda split, check: FeatureRegression().fit(split.train, split.user_vectors, split.item_features),
        user_vectors,
    ),
)
SERVED_BY = {peer.name: peer.served_by for peer in ROSTER}
# One row a model, without the ways to search two-tower's vectors.
MODELS = tuple(peer for peer in ROSTER if not isinstance(peer, TwoTowerIndex))


def searched(roster: Sequence[Peer]) -> tuple[Peer, ...]:
    """The peers that compete in search, in order: the Flat index stands for two-tower, and popularity and regression have no part in it."""
    return tuple(peer for peer in roster if peer.name not in (TWO_TOWER, POPULARITY, REGRESSION))


SEARCHED = searched(ROSTER)


def named(*names: str) -> tuple[Peer, ...]:
    """Peers of the roster, in this order."""
    return tuple({peer.name: peer for peer in ROSTER}[name] for name in names)


def runnable(peers: Sequence[Peer], split: Split) -> tuple[list[Peer], dict[str, str]]:
    """The peers that can run on a split, and name -> reason of the others."""
    left_out = {peer.name: reason for peer in peers for need in peer.needs if (reason := need(split)) is not None}
    return [peer for peer in peers if peer.name not in left_out], {name: reason for name, reason in left_out.items() if reason}


@contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Turn these errors of a library or baseline into `CannotRun`."""
    try:
        yield
    except errors as error:
        raise CannotRun(str(error) or type(error).__name__) from error


def of_codes(model: SparCodeModel, retriever: SparseRetriever, k: int = DEFAULT_K) -> Call:
    """Time a retriever on the model's codes."""
    return Call(model.encode, lambda encoded, query: retriever.retrieve_codes(*encoded, query, k))


def of_vectors(model: TwoTowerModel, retriever: FaissRetriever, k: int = DEFAULT_K) -> Call:
    """Time a retriever on the model's query vectors."""
    return Call(model.query_vectors, lambda vectors, query: retriever.retrieve_vectors(vectors, query, k))


def whole(retriever: Retriever) -> Call:
    """Time a retriever that does not encode separately: all its time counts as retrieval."""
    return Call(_nothing, lambda _, query: retriever.retrieve(query, DEFAULT_K))


def hnsw_words(config: HNSWConfig, asked: Histories | None, k: int = DEFAULT_K) -> str:
    """A setting of HNSW's search for k items in words; see `Sweep.asked`."""
    if asked is None:
        return f"efSearch {config.ef_search}" + (", selector" if config.exclude == "selector" else "")
    used = [hnsw_width(config, k, n_seen, asked.n_items) for n_seen in asked.lengths.tolist()]
    if config.exclude == "selector":
        return f"selector, efSearch {max(used)}"
    spread = f"{used[0]}" if min(used) == max(used) else f"{np.mean(used):.0f} on average (at least {config.ef_search})"
    return f"efSearch {spread}"


def _nothing(query: Histories) -> None:
    """Encode later."""


class _DotProductScorer:
    def __init__(self, model: TwoTowerModel) -> None:
        self.n_items = model.n_items
        self.item_vectors = model.item_vectors()
        self._model = model

    def score(self, queries: Histories) -> np.ndarray:
        return self._model.query_vectors(queries) @ self.item_vectors.T
