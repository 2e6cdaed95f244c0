"""The cases of `benchmarks/retrieval.py`: posting lists of a trained model over grown catalogues, and two-tower's vectors.

faiss is not taken from the roster of `sparcode.comparison.peers`, which measures recall of targets at its own k: a grown catalogue has no
targets, so settings are tried, up to the first that is good enough, by the share they find of the exact best 100.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import faiss
import numpy as np
from numba import njit

from sparcode.comparison.found_share import FOUND_K, Codes, found_share
from sparcode.comparison.interleaved_timing import Call, Timing, interleaved
from sparcode.comparison.peers import FLAT, HNSW, IVF_FLAT, IVF_PQ
from sparcode.config import Config
from sparcode.index import kernels
from sparcode.index.block_index import BlockIndex, block_index
from sparcode.index.coded_model import merged_codes
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import floor_for_density
from sparcode.index.search_arrays import Postings, SearchRows, Workspace, new_workspace
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.faiss import search_faiss
from sparcode.retrieval.faiss_index import FlatConfig, HNSWConfig, ItemIndex, IVFFlatConfig, IVFPQConfig, build_faiss, faiss_bytes
from sparcode.retrieval.sparse import SparseRetriever

K = FOUND_K
RECALL = 0.95
BATCH_ROUNDS, BATCH_SECONDS, BATCH_QUERIES = 40, 8.0, 2_000
ADDING, LISTS, BLOCKED, QUANTIZED, KERNEL = "adding alone", "lists, float32", "blocks, float32", "blocks, 16 bits", "kernel of lists"
IVF_PQ_RANKED = f"{IVF_PQ}, ranked again"
EF_SEARCH = (100, 125, 150, 200, 250, 300, 350, 400, 500, 600, 800, 1200, 1600)
N_PROBE = (1, 2, 4, 8, 16, 32, 64, 128, 256)
K_FACTOR = (2.0, 4.0, 8.0)
# With more items only the larger number: building takes minutes.
LINKS, MANY_LINKS_ITEMS = (16, 32), 100_000


class SearchRow(NamedTuple):
    """One way to search, measured: a row of a table.

    Attributes
    ----------
    recall
        Share found of the best K by two-tower's inner products, or by SparCode's scores with nothing cut; NaN where nothing is returned.
    p50_us, p95_us, p99_us
        Of one query.
    queries_per_second
        Threads -> speed in a batch.
    share_read
        Postings added up over those of all of the query's lists, each counted once; NaN for vectors.
    n_postings
        Postings held; 0 for vectors.
    """

    name: str
    setting: str
    recall: float
    p50_us: float
    p95_us: float
    p99_us: float
    queries_per_second: dict[int, float]
    size_bytes: int
    build_seconds: float
    share_read: float
    n_postings: int = 0


def index_for(model: SparCodeModel, codes: np.ndarray, longest: int) -> tuple[InvertedIndex, float]:
    """An index with room for lists of about that mean length as queries meet them, and the seconds its build took."""
    distinct = np.unique(codes)
    # Lists differ in length by much, and queries rather meet the long ones.
    density = min(1.0, 1.5 * longest / model.n_items)
    floor = floor_for_density(model, distinct, density, 16)
    started = time.perf_counter()
    index = build_index(model, distinct, floor, 16)
    return index, time.perf_counter() - started


def threshold_for_length(index: InvertedIndex, codes: np.ndarray, length: float) -> float:
    """The threshold at which the lists that queries meet hold so many postings on average, by bisection."""
    rows = index.rows_of(codes)
    low, high = index.floor, float(index.scores.max())
    for _ in range(50):
        middle = float(np.float32((low + high) / 2))
        if index.list_lengths(middle)[rows].mean() > length:
            low = middle
        else:
            high = middle
    return high


def timed_build(model: SparCodeModel, codes: np.ndarray, threshold: float) -> tuple[InvertedIndex, float]:
    """The index of the codes with nothing below the threshold, and the seconds its build took."""
    started = time.perf_counter()
    index = build_index(model, np.unique(codes), threshold, 16)
    return index, time.perf_counter() - started


def measure_lists(
    model: SparCodeModel, built: tuple[InvertedIndex, float], threshold: float, queries: Codes, rounds: int, best: np.ndarray
) -> list[SearchRow]:
    """Adding alone, and the same lists in every layout. All calls go to one thread; batches also to all. `best` is from `uncut_best`."""
    index, build_seconds = built
    retrievers: dict[str, tuple[SparseRetriever, InvertedIndex | BlockIndex, float]] = {}
    for name, make in (
        (LISTS, lambda: index),
        (BLOCKED, lambda: block_index(index, threshold)),
        (QUANTIZED, lambda: block_index(index, threshold, "uint16")),
    ):
        started = time.perf_counter()
        layout = make()
        seconds = build_seconds + time.perf_counter() - started
        retrievers[name] = (SparseRetriever(model, layout, threshold, n_threads=1), layout, seconds)
    calls = {name: Call(lambda row: row, lambda row, _, r=r: r.retrieve_codes(*row, None, K)) for name, (r, _, _) in retrievers.items()}
    calls |= _bare_calls(index, threshold, queries)
    timings = interleaved(calls, queries.rows(), rounds)
    once = Codes(*merged_codes(*queries))
    n_postings = int(index.list_lengths(threshold)[index.rows_of(once.codes)].sum(where=once.weights > 0))
    rows = [_row(name, "", float("nan"), timings[name], {}, 0, 0.0, 1.0) for name in (ADDING, KERNEL)]
    for name, (retriever, layout, seconds) in retrievers.items():
        before = retriever.postings_read
        found = retriever.retrieve_codes(*queries, None, K).item_ids
        share = (retriever.postings_read - before) / max(1, n_postings)
        setting = f"blocks of {1 << layout.shift:,}" if isinstance(layout, BlockIndex) else ""
        speed = _speeds(lambda n, layout=layout: _batch(SparseRetriever(model, layout, threshold, n_threads=n), queries))
        size = sum(retriever.size_bytes().values())
        row = _row(name, setting, found_share(found[: len(best)], best), timings[name], speed, size, seconds, share)
        rows.append(row._replace(n_postings=index.kept_postings(threshold)))
    return rows


def _bare_calls(index: InvertedIndex, threshold: float, queries: Codes) -> dict[str, Call]:
    """Adding alone and the compiled search, with the same arguments and nothing of the retriever around them."""
    tau = np.float32(threshold)
    # Plain tuples, as the search takes them.
    postings = tuple(Postings(index.indptr, index.threshold_ends(threshold), index.item_ids, index.scores))
    workspace = tuple(new_workspace(index.n_items, index.n_items, K, queries.codes.shape[1]))
    nobody = (np.zeros(2, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.bool_))
    out = np.empty((1, K), dtype=np.int32), np.empty((1, K), dtype=np.float32)

    def encode(row: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
        codes, weights = merged_codes(*row)
        return (index.rows_of(codes), weights, *nobody)

    return {
        ADDING: Call(encode, lambda rows, _: add_and_clear(rows, postings, tau, workspace)),
        KERNEL: Call(encode, lambda rows, _: kernels.search_lists(rows, postings, tau, workspace, *out)),
    }


@njit(nogil=True, fastmath=False)
def add_and_clear(rows: SearchRows, postings: Postings, threshold: np.float32, workspace: Workspace) -> None:
    """Add up the lists of every row in a dense accumulator, then clear it; no top k, no seen items.

    The arguments are those of `sparcode.index.kernels.search_lists`, so that passing them costs the same.
    """
    lists, weights, _, _, _ = rows
    indptr, ends, item_ids, scores = postings
    accumulator, _, _, _, _, _, _, _ = workspace
    for row in range(len(lists)):
        n_slots = np.count_nonzero(weights[row])
        for slot in range(n_slots):
            part = slice(indptr[lists[row, slot]], ends[lists[row, slot]])
            own_ids, own_scores = item_ids[part], scores[part]
            for at in range(len(own_ids)):
                accumulator[np.uint32(own_ids[at])] += own_scores[at] - threshold
        for slot in range(n_slots):
            for item in item_ids[indptr[lists[row, slot]] : ends[lists[row, slot]]]:
                accumulator[np.uint32(item)] = 0


def faiss_settings(kind: str, n_items: int) -> list[tuple[Config, list[list[dict[str, float]]]]]:
    """What a kind is built with, and for each what it is searched with: sequences of rising effort."""
    if kind == HNSW:
        links = LINKS if n_items <= MANY_LINKS_ITEMS else LINKS[-1:]
        return [(HNSWConfig(n_links=n), [[{"ef_search": ef} for ef in EF_SEARCH]]) for n in links]
    probes = [{"n_probe": n} for n in N_PROBE]
    if kind == IVF_PQ_RANKED:
        return [(IVFPQConfig(k_factor=K_FACTOR[0]), [[probe | {"k_factor": factor} for probe in probes] for factor in K_FACTOR])]
    return [(IVFFlatConfig() if kind == IVF_FLAT else IVFPQConfig(), [probes])]


class Fitted(NamedTuple):
    """A faiss index at one setting; `recall` is the share found of the exact best, `query_us` a rough time to choose by."""

    index: ItemIndex
    setting: str
    build_seconds: float
    recall: float
    query_us: float


def chosen(fitted: list[Fitted]) -> Fitted:
    """The fastest that finds `RECALL` of the exact best; where none does, the one that finds most."""
    enough = [one for one in fitted if one.recall >= RECALL]
    return min(enough, key=lambda one: one.query_us) if enough else max(fitted, key=lambda one: one.recall)


def fit(kind: str, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray) -> Fitted:
    """A kind built and set, see `chosen`; in every sequence of rising effort the first setting that finds enough is a candidate."""
    fitted = []
    for config, sequences in faiss_settings(kind, len(vectors)):
        started = time.perf_counter()
        index = build_faiss(vectors, config, os.cpu_count() or 1)
        seconds = time.perf_counter() - started
        built = f"{config.n_links} links, " if isinstance(config, HNSWConfig) else ""
        for sequence in sequences:
            for values in sequence:
                index = index._replace(config=config.model_copy(update=values))
                recall = found_share(search_faiss(index, queries, K, None).item_ids, exact)
                if recall >= RECALL:
                    break
            words = built + ", ".join(f"{field.replace('_', ' ')} {value:g}" for field, value in values.items())
            fitted.append(Fitted(index, words, seconds, recall, _rough_us(index, queries)))
    return chosen(fitted)


def _rough_us(index: ItemIndex, queries: np.ndarray) -> float:
    faiss.omp_set_num_threads(1)
    singles = {"": Call(lambda row: row, lambda row, _: search_faiss(index, row, K, None))}
    found = interleaved(singles, [queries[row : row + 1] for row in range(min(50, len(queries)))], 1)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    return float(np.median(found[""].retrieve_us))


def measure_vectors(vectors: np.ndarray, queries: np.ndarray, rounds: int, kinds: tuple[str, ...]) -> list[SearchRow]:
    """Flat, and the other kinds at the fastest of their settings that finds `RECALL` of the exact best (or the best there is)."""
    n_flat = min(len(queries), 100)
    # Product quantization wants parts of two dimensions; a zero changes no inner product.
    odd = ((0, 0), (0, vectors.shape[1] % 2))
    vectors, queries = np.pad(vectors, odd), np.pad(queries, odd)
    started = time.perf_counter()
    flat = build_faiss(vectors, FlatConfig())
    seconds = time.perf_counter() - started
    exact = search_faiss(flat, queries, K, None).item_ids
    fitted = {FLAT: Fitted(flat, "", seconds, 1.0, 0.0)} | {kind: fit(kind, vectors, queries, exact) for kind in kinds}
    faiss.omp_set_num_threads(1)
    calls = {name: Call(lambda row: row, lambda row, _, i=one.index: search_faiss(i, row, K, None)) for name, one in fitted.items()}
    singles = [queries[row : row + 1] for row in range(len(queries))]
    timings = interleaved({FLAT: calls.pop(FLAT)}, singles[:n_flat], 1)
    if calls:
        timings |= interleaved(calls, singles, rounds)
    rows = []
    for name, one in fitted.items():
        speed = _speeds(lambda n, index=one.index: _faiss_batch(index, queries, n))
        size = sum(faiss_bytes(one.index).values())
        rows.append(_row(name, one.setting, one.recall, timings[name], speed, size, one.build_seconds, float("nan")))
    return rows


def _row(
    name: str, setting: str, recall: float, timing: Timing, speed: dict[int, float], size: int, seconds: float, share: float
) -> SearchRow:
    percentiles = (float(np.percentile(timing.retrieve_us, percentile)) for percentile in (50, 95, 99))
    return SearchRow(name, setting, recall, *percentiles, speed, size, seconds, share)


def _speeds(batch_with: Callable[[int], tuple[Callable[[], object], int]]) -> dict[int, float]:
    """Threads -> queries per second: one and all in turn, medians of some rounds, of one where they take long."""
    batches = {n: batch_with(n) for n in sorted({1, os.cpu_count() or 1})}
    seconds: dict[int, list[float]] = {n: [] for n in batches}
    while len(seconds[1]) <= BATCH_ROUNDS and (len(seconds[1]) < 2 or sum(map(sum, seconds.values())) < BATCH_SECONDS):
        for n, (call, _) in batches.items():
            started = time.perf_counter()
            call()
            seconds[n].append(time.perf_counter() - started)
    return {n: size / float(np.median(seconds[n][1:])) for n, (_, size) in batches.items()}  # the first warms up


def _batch(retriever: SparseRetriever, queries: Codes) -> tuple[Callable[[], object], int]:
    # Long enough that starting threads plays no part.
    codes, weights = (np.tile(part, (_tiles(queries.codes), 1)) for part in queries)
    return lambda: retriever.retrieve_codes(codes, weights, None, K), len(codes)


def _tiles(queries: np.ndarray) -> int:
    return max(1, BATCH_QUERIES // len(queries))


def _faiss_batch(index: ItemIndex, queries: np.ndarray, n_threads: int) -> tuple[Callable[[], object], int]:
    queries = np.tile(queries, (_tiles(queries), 1))

    def call() -> None:
        faiss.omp_set_num_threads(n_threads)
        search_faiss(index, queries, K, None)
        faiss.omp_set_num_threads(1)

    return call, len(queries)
