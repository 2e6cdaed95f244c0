"""What `benchmarks/retrieval.py` measures: posting lists of a trained model over grown catalogues, and two-tower's vectors beside them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

import faiss
import numpy as np

from benchmarks.search_floor import add_and_clear
from sparcode.index import kernels
from sparcode.index.block_index import BlockIndex, block_index
from sparcode.index.faiss_configs import FlatConfig, HNSWConfig, IVFFlatConfig, IVFPQConfig
from sparcode.index.faiss_search import ItemIndex, build_faiss, faiss_bytes, search_faiss
from sparcode.index.inverted_index import InvertedIndex, build_index
from sparcode.index.pruning import floor_for_density
from sparcode.index.search_arrays import Postings, SearchRows, new_workspace
from sparcode.index.sparse_retriever import SparseRetriever
from sparcode.interleaved_timing import Call, Timing, interleaved
from sparcode.model.sparcode_model import SparCodeModel

K = 100
RECALL = 0.95
BATCH_ROUNDS = 7
FLOOR, LISTS, BLOCKED, QUANTIZED, KERNEL = "floor", "lists, float32", "blocks, float32", "blocks, 16 bits", "kernel of lists"
FLAT, HNSW, IVF_FLAT, IVF_PQ = "Flat", "HNSW", "IVF-Flat", "IVF-PQ"
EF_SEARCH = (100, 125, 150, 200, 250, 300, 350, 400, 500, 600, 800, 1200, 1600)
N_PROBE = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Codes(NamedTuple):
    """Queries as codes.

    Attributes
    ----------
    codes, weights
        (B, S) int64 and float32.
    """

    codes: np.ndarray
    weights: np.ndarray

    def rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """One row each."""
        return [(self.codes[row : row + 1], self.weights[row : row + 1]) for row in range(len(self.codes))]


class Served(NamedTuple):
    """A way to serve, measured.

    Attributes
    ----------
    name, setting
        What it is.
    recall
        Share of the exact best K that it finds.
    p50_us, p95_us, p99_us
        Of one query.
    queries_per_second
        Threads -> in a batch.
    size_bytes, build_seconds
        What it holds, and how long it took to make.
    share_read
        Postings added up over all of the query's lists; NaN for vectors.
    n_postings
        Postings it holds; 0 for vectors.
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


def threshold_for_length(index: InvertedIndex, codes: np.ndarray, length: int) -> float:
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


def measure_lists(
    model: SparCodeModel, index: InvertedIndex, threshold: float, queries: Codes, rounds: int, build_seconds: float
) -> list[Served]:
    """The floor, and the same lists in every layout. All calls go to one thread; batches also to all."""
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
    exact = retrievers[LISTS][0].retrieve_codes(*queries, None, K).item_ids
    n_postings = int(index.list_lengths(threshold)[index.rows_of(queries.codes)].sum())
    rows = [_served(FLOOR, "", 1.0, timings[FLOOR], {}, 0, 0.0, 1.0), _served(KERNEL, "", 1.0, timings[KERNEL], {}, 0, 0.0, 1.0)]
    for name, (retriever, layout, seconds) in retrievers.items():
        before = retriever.postings_read
        found = retriever.retrieve_codes(*queries, None, K).item_ids
        share = (retriever.postings_read - before) / max(1, n_postings)
        setting = f"blocks of {1 << layout.shift:,}" if isinstance(layout, BlockIndex) else ""
        speed = _speeds(lambda n, layout=layout: _batch(SparseRetriever(model, layout, threshold, n_threads=n), queries))
        size = sum(retriever.size_bytes().values())
        served = _served(name, setting, _overlap(found, exact), timings[name], speed, size, seconds, share)
        rows.append(served._replace(n_postings=index.kept_postings(threshold)))
    return rows


def _bare_calls(index: InvertedIndex, threshold: float, queries: Codes) -> dict[str, Call]:
    """The floor and the compiled search, with the same arguments and nothing of the retriever around them."""
    tau = np.float32(threshold)
    postings = Postings(index.indptr, index.threshold_ends(threshold), index.item_ids, index.scores)
    workspace = new_workspace(index.n_items, index.n_items, K, queries.codes.shape[1])
    nobody = (np.zeros(2, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.bool_))
    out = np.empty((1, K), dtype=np.int32), np.empty((1, K), dtype=np.float32)

    def encode(row: tuple[np.ndarray, np.ndarray]) -> SearchRows:
        return SearchRows(index.rows_of(row[0]), row[1], *nobody)

    return {
        FLOOR: Call(encode, lambda rows, _: add_and_clear(rows, postings, tau, workspace)),
        KERNEL: Call(encode, lambda rows, _: kernels.search_lists(rows, postings, tau, workspace, *out)),
    }


def measure_vectors(vectors: np.ndarray, queries: np.ndarray, rounds: int, kinds: tuple[str, ...]) -> list[Served]:
    """Flat, and the other kinds at the fastest of their settings that finds `RECALL` of the exact best (or the best there is)."""
    n_flat = min(len(queries), 100)
    # Product quantization wants parts of two dimensions; a zero changes no inner product.
    odd = ((0, 0), (0, vectors.shape[1] % 2))
    vectors, queries = np.pad(vectors, odd), np.pad(queries, odd)
    flat = build_faiss(vectors, FlatConfig())
    exact = search_faiss(flat, queries, K, None).item_ids
    built: dict[str, tuple[ItemIndex, float]] = {FLAT: (flat, 0.0)}
    settings = {FLAT: ""}
    sweeps: dict[str, tuple[object, tuple[int, ...], str]] = {
        HNSW: (HNSWConfig(), EF_SEARCH, "ef_search"),
        IVF_FLAT: (IVFFlatConfig(), N_PROBE, "n_probe"),
        IVF_PQ: (IVFPQConfig(), N_PROBE, "n_probe"),
    }
    for kind in kinds:
        config, values, field = sweeps[kind]
        started = time.perf_counter()
        index = build_faiss(vectors, config, os.cpu_count() or 1)
        seconds = time.perf_counter() - started
        for value in values:
            index = index._replace(config=config.model_copy(update={field: value}))
            if _overlap(search_faiss(index, queries, K, None).item_ids, exact) >= RECALL:
                break
        built[kind], settings[kind] = (index, seconds), f"{field.replace('_', ' ')} {value}"
    faiss.omp_set_num_threads(1)
    calls = {name: Call(lambda row: row, lambda row, _, i=i: search_faiss(i, row, K, None)) for name, (i, _) in built.items()}
    singles = [queries[row : row + 1] for row in range(len(queries))]
    timings = interleaved({FLAT: calls.pop(FLAT)}, singles[:n_flat], 1)
    if calls:
        timings |= interleaved(calls, singles, rounds)
    rows = []
    for name, (index, seconds) in built.items():
        asked = queries[:n_flat] if name == FLAT else queries
        recall = _overlap(search_faiss(index, queries, K, None).item_ids, exact)
        speed = _speeds(lambda n, index=index, asked=asked: _faiss_batch(index, asked, n))
        size = sum(faiss_bytes(index).values())
        rows.append(_served(name, settings[name], recall, timings[name], speed, size, seconds, float("nan")))
    return rows


def _served(
    name: str, setting: str, recall: float, timing: Timing, speed: dict[int, float], size: int, seconds: float, share: float
) -> Served:
    percentiles = (float(np.percentile(timing.retrieve_us, percentile)) for percentile in (50, 95, 99))
    return Served(name, setting, recall, *percentiles, speed, size, seconds, share)


def _speeds(batch_with: Callable[[int], tuple[Callable[[], object], int]]) -> dict[int, float]:
    """Threads -> queries per second: one and all in turn, medians of some rounds."""
    batches = {n: batch_with(n) for n in sorted({1, os.cpu_count() or 1})}
    seconds: dict[int, list[float]] = {n: [] for n in batches}
    for _ in range(BATCH_ROUNDS + 1):
        for n, (call, _) in batches.items():
            started = time.perf_counter()
            call()
            seconds[n].append(time.perf_counter() - started)
    return {n: size / float(np.median(seconds[n][1:])) for n, (_, size) in batches.items()}  # the first warms up


def _batch(retriever: SparseRetriever, queries: Codes) -> tuple[Callable[[], object], int]:
    # Long enough that starting threads plays no part.
    times = max(1, 2_000 // len(queries.codes))
    codes, weights = (np.tile(part, (times, 1)) for part in queries)
    return lambda: retriever.retrieve_codes(codes, weights, None, K), len(codes)


def _faiss_batch(index: ItemIndex, queries: np.ndarray, n_threads: int) -> tuple[Callable[[], object], int]:
    def call() -> None:
        faiss.omp_set_num_threads(n_threads)
        search_faiss(index, queries, K, None)
        faiss.omp_set_num_threads(1)

    return call, len(queries)


def _overlap(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean share of a row's exact items that were found."""
    wanted = [row[row >= 0] for row in exact]
    shares = [np.isin(want, row).mean() if len(want) else 1.0 for row, want in zip(found, wanted, strict=True)]
    return float(np.mean(shares))
