"""Every way to serve a trained model over a grown catalogue: built, set to find enough, counted; what would not fit is told instead."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from sparcode.baselines.cooccurrence import Cooccurrence
from sparcode.comparison.found_share import FOUND_K, found_share
from sparcode.comparison.grown_index import GrownIndex, IndexAtShare, whole_bytes
from sparcode.comparison.interleaved_timing import Call
from sparcode.comparison.peers import ALL_TO_ALL, COOCCURRENCE, FLAT, HNSW, IVF_FLAT, SPARCODE
from sparcode.config import PostingsKind
from sparcode.data.interactions import Histories
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.grown import draws, growing_bytes, grown
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.contract import Retrieved
from sparcode.retrieval.faiss import search_faiss
from sparcode.retrieval.faiss_index import FlatConfig, HNSWConfig, ItemIndex, IVFFlatConfig, build_faiss, faiss_bytes
from sparcode.retrieval.top_k import top_k

WAYS: Final = (SPARCODE, FLAT, HNSW, IVF_FLAT, ALL_TO_ALL, COOCCURRENCE)
# Rising effort; the first that finds enough is taken.
# Steps of a quarter at most: SparCode's share is read off between measured ones, so these must not stand far above what is asked.
EF_SEARCH: Final = (100, 110, 120, 135, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 600, 700, 800, 950, 1100, 1300, 1600)
N_PROBE: Final = (*range(1, 9), 10, 12, 14, 16, 19, 22, 26, 31, 37, 44, 52, 62, 74, 88, 105, 126, 151, 181, 217, 256)
# All grown catalogues of one model and size are the same.
GROWTH_SEED: Final = 1
# A graph's build time rises a little faster than its items; smaller graphs say nothing of larger ones.
GRAPH_EXPONENT: Final = 1.15
_LEAST_GRAPH = 3_000


class ServedModels(NamedTuple):
    """What is served, all trained on the same catalogue.

    Attributes
    ----------
    codes
        (n,) int64, distinct: the codes in use, each with a list of postings.
    postings
        The layout of SparCode's index.
    queries
        Test users' histories.
    """

    sparcode: SparCodeModel
    codes: np.ndarray
    postings: PostingsKind
    two_tower: TwoTowerModel
    backbone: AllToAllModel
    cooccurrence: Cooccurrence
    queries: Histories


class WayPlan(NamedTuple):
    """How ways are built, and what they may take.

    Attributes
    ----------
    shares
        Shares of scores that SparCode keeps, ascending.
    k, enough
        Items returned, and the share of the exact best k that HNSW and IVF are set to find, at the least effort that does.
    links, ef_construction
        Of HNSW's graph; as many links as where recall of test users is measured.
    max_bytes, max_build_seconds
        What would be larger, or take longer to build, is left out before it starts.
    n_threads
        Threads that build; queries are answered by one.
    n_queries
        Test users whose queries are timed, and whose share found is measured: the first so many.
    """

    shares: tuple[float, ...] = (0.001, 0.01, 0.05, 0.2, 0.5)
    k: int = FOUND_K
    enough: float = 0.95
    links: int = 32
    ef_construction: int = 100
    max_bytes: int = 4 * 2**30
    max_build_seconds: float = math.inf
    n_threads: int = 2
    n_queries: int = 24


class Built(NamedTuple):
    """A way ready to be timed: fields as in `sparcode.comparison.growth.GrowthPoint`, and whether encoding is a step of its own."""

    name: str
    setting: str
    share: float
    found: float
    size_bytes: int
    build_seconds: float
    call: Call
    slow: bool = False
    encodes: bool = True

    @property
    def label(self) -> str:
        """Name and setting."""
        return f"{self.name}, {self.setting}" if self.setting else self.name


class LeftOut(NamedTuple):
    """A way that is not measured at a catalogue size, or SparCode at one share of scores (else NaN), and why."""

    name: str
    n_items: int
    share: float
    reason: str


def percent(share: float) -> str:
    """A share in percent, as settings name it."""
    return f"{100 * share:.3g}%"


class GrownWays:
    """Builds the ways at one size after the other; `check` and `on_step` are called between steps."""

    def __init__(self, models: ServedModels, plan: WayPlan, check: Callable[[], None], on_step: Callable[[str], None]) -> None:
        self._models, self._plan = models, plan
        self._check, self._on_step = check, on_step
        self._index = GrownIndex(models.sparcode, models.codes, models.postings, plan.n_threads)
        # Items and seconds of the last graph built.
        self._graph: tuple[int, float] | None = None

    def build(self, n_items: int) -> Iterator[Built | LeftOut]:
        """Every way at a size, in the order of `WAYS`."""
        for name, make in (
            (SPARCODE, self._sparcode),
            ("two-tower", self._two_tower),
            (ALL_TO_ALL, self._all_to_all),
            (COOCCURRENCE, self._cooccurrence),
        ):
            self._check()
            self._on_step(f"building {name}")
            yield from make(n_items)

    @property
    def asked(self) -> Histories:
        """The queries that are timed."""
        queries = self._models.queries
        return queries.take(np.arange(min(len(queries), self._plan.n_queries)))

    def _sparcode(self, n_items: int) -> Iterator[Built | LeftOut]:
        plan, n_lists = self._plan, len(self._models.codes)
        if left := self._cannot_grow(self._models.sparcode, (SPARCODE,), n_items):
            yield from left
            return
        fitting = []
        for share in plan.shares:
            whole = whole_bytes(n_lists, n_items, share, self._models.postings)
            building = self._index.building_bytes(n_items, share, self.asked)
            if max(whole, building) <= plan.max_bytes:
                fitting.append(share)
            else:
                what = f"{percent(share)} of its scores" if whole >= building else f"building {percent(share)} of the scores asked for"
                yield LeftOut(SPARCODE, n_items, share, self._too_large(what, max(whole, building), share))
        if fitting:
            yield from map(self._at_share, self._index.at_shares(n_items, fitting, self.asked, plan.k, self._check))

    def _at_share(self, one: IndexAtShare) -> Built:
        call = Call(self._models.sparcode.encode, lambda codes, _: one.retriever.retrieve_codes(*codes, None, self._plan.k))
        return Built(SPARCODE, f"{percent(one.share)} of scores", one.share, one.found, one.size_bytes, one.build_seconds, call)

    def _too_large(self, what: str, size: int, share: float) -> str:
        limit = self._plan.max_bytes
        return (
            f"{what} would take {_gigabytes(size)}, more than the limit of {_gigabytes(limit)}; {percent(share * limit / size)} would fit"
        )

    def _two_tower(self, n_items: int) -> Iterator[Built | LeftOut]:
        plan = self._plan
        if left := self._cannot_grow(self._models.two_tower, (FLAT, HNSW, IVF_FLAT), n_items):
            yield from left
            return
        vectors = grown(self._models.two_tower, n_items, GROWTH_SEED).item_vectors()
        asked = self._models.two_tower.query_vectors(self.asked)
        flat = _timed(lambda: build_faiss(vectors, FlatConfig()))
        exact = search_faiss(flat[0], asked, plan.k, None)
        yield self._searched(FLAT, "", 1.0, flat)
        self._check()
        graph = HNSWConfig(n_links=plan.links, ef_construction=plan.ef_construction)
        expected = self._graph_seconds(n_items)
        if expected > plan.max_build_seconds:
            reason = f"its graph would take about {expected:.0f} s to build, more than the limit of {plan.max_build_seconds:.0f} s"
            yield LeftOut(HNSW, n_items, math.nan, reason)
        else:
            self._on_step(f"building {HNSW}" + (f", about {expected:.0f} s" if expected > 1 else ""))
            ready = _timed(lambda: build_faiss(vectors, graph, plan.n_threads))
            self._graph = (n_items, ready[1])
            yield self._set(HNSW, f"{plan.links} links, ", ready, [{"ef_search": effort} for effort in EF_SEARCH], asked, exact)
        self._check()
        cells = math.isqrt(n_items)
        self._on_step(f"building {IVF_FLAT}")
        ready = _timed(lambda: build_faiss(vectors, IVFFlatConfig(n_lists=cells), plan.n_threads))
        efforts = [{"n_probe": effort} for effort in N_PROBE if effort <= cells]
        yield self._set(IVF_FLAT, f"{cells:,} cells, ", ready, efforts, asked, exact)

    def _graph_seconds(self, n_items: int) -> float:
        """Expected from the last graph; 0 where none is known that was large enough."""
        if self._graph is None or self._graph[0] < _LEAST_GRAPH:
            return 0.0
        return self._graph[1] * (n_items / self._graph[0]) ** GRAPH_EXPONENT

    def _set(
        self,
        name: str,
        built_words: str,
        ready: tuple[ItemIndex, float],
        efforts: Sequence[Mapping[str, int]],
        asked: np.ndarray,
        exact: Retrieved,
    ) -> Built:
        """The index at the least effort that finds enough; at the most, where none does."""
        index, seconds = ready
        for effort in efforts:
            self._check()
            index = index._replace(config=index.config.model_copy(update=effort))
            found = found_share(search_faiss(index, asked, self._plan.k, None).item_ids, exact.item_ids)
            if found >= self._plan.enough:
                break
        words = {"ef_search": "efSearch {}", "n_probe": "{} visited"}
        setting = built_words + ", ".join(words[field].format(value) for field, value in effort.items())
        return self._searched(name, setting, found, (index, seconds))

    def _searched(self, name: str, setting: str, found: float, ready: tuple[ItemIndex, float]) -> Built:
        index, seconds = ready
        call = Call(self._models.two_tower.query_vectors, lambda vectors, _: search_faiss(index, vectors, self._plan.k, None))
        return Built(name, setting, math.nan, found, sum(faiss_bytes(index).values()), seconds, call)

    def _cannot_grow(self, model: SparCodeModel | TwoTowerModel | AllToAllModel, names: Sequence[str], n_items: int) -> list[LeftOut]:
        """Why a model cannot be grown within the limit, for each way that it serves; empty if it can."""
        size, limit = growing_bytes(model, n_items), self._plan.max_bytes
        if size <= limit:
            return []
        reason = (
            f"growing its item vectors would take {_gigabytes(size)}, more than the limit of {_gigabytes(limit)}; "
            f"{n_items * limit // size:,} items would fit"
        )
        return [LeftOut(name, n_items, math.nan, reason) for name in names]

    def _all_to_all(self, n_items: int) -> Iterator[Built | LeftOut]:
        if left := self._cannot_grow(self._models.backbone, (ALL_TO_ALL,), n_items):
            yield from left
            return
        model = grown(self._models.backbone, n_items, GROWTH_SEED).eval()
        size = sum(value.nbytes for value in model.interaction.state_dict().values())
        yield self._scored(ALL_TO_ALL, model.score, size)

    def _cooccurrence(self, n_items: int) -> Iterator[Built | LeftOut]:
        counted, limit = self._models.cooccurrence, self._plan.max_bytes
        alike = np.concatenate([np.arange(min(counted.n_items, n_items)), draws(counted.n_items, n_items, GROWTH_SEED).base.numpy()])
        size = counted.bytes_over(alike)
        if size > limit:
            # Counts grow with the square of the items.
            fits = int(n_items * math.sqrt(limit / size))
            reason = f"its counts, grown alike, would take {_gigabytes(size)}, more than the limit of {_gigabytes(limit)}; "
            yield LeftOut(COOCCURRENCE, n_items, math.nan, f"{reason}about {fits:,} items would fit")
        else:
            yield self._scored(COOCCURRENCE, counted.over(alike).score, size)

    def _scored(self, name: str, score: Callable[[Histories], np.ndarray], size: int) -> Built:
        call = Call(score, lambda scores, _: top_k(scores, self._plan.k))
        return Built(name, "", math.nan, 1.0, size, math.nan, call, slow=True, encodes=False)


def _timed(build: Callable[[], ItemIndex]) -> tuple[ItemIndex, float]:
    started = time.perf_counter()
    return build(), time.perf_counter() - started


def _gigabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.3g} GB"
