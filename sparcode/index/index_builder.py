"""Build an inverted index block by block, so that the table of all scores is never held."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sparcode.data.interactions import offsets
from sparcode.device import thread_pool
from sparcode.index import build_kernels
from sparcode.index.coded_model import CodedModel
from sparcode.index.growing_postings import GrowingPostings
from sparcode.index.inverted_index import BuildStopped, InvertedIndex, merged, threshold32
from sparcode.index.score_table import block_step, code_scores, distinct_code_list

# A block of more scores (4 MiB) is scored in so many parts. Two of them are in memory at a time, and the rest of the block's size is left
# for what the network and the sort need in between. The parts of a smaller block would cost more calls than they save memory.
SPLIT_ABOVE, BLOCK_PARTS = 1 << 20, 5
# A smaller part is cut before a thread has woken up.
THREADS_ABOVE = 1 << 16


def build_index(
    model: CodedModel,
    codes_in_use: np.ndarray,
    floor: float,
    block_codes: int,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    n_threads: int = 0,
) -> InvertedIndex:
    """Score the codes in use and store what lies above the floor, one list per code (possibly empty).

    While a block is scored, threads cut and sort the one before. At most two blocks of scores are in memory, one if they exceed 4 MiB.
    The index does not depend on the number of threads.

    Parameters
    ----------
    codes_in_use
        Integers of any shape; repeats count once.
    floor
        The lowest threshold the index can serve; -inf stores every finite score.
    block_codes
        Codes scored at a time, fewer where a block would exceed 2**25 scores; blocks of more than 2**20 scores are scored in parts.
    should_stop
        Asked before every block (or part of one) is scored; if true, `BuildStopped` is raised.
    on_progress
        Called with ``(codes done, codes in all)`` after every one, in order.
    n_threads
        Threads that cut and sort beside the one that scores; 0: one per processor, 1: no threads.

    Raises
    ------
    ValueError
        If the floor is NaN or +inf, codes are no integers or negative, `block_codes` is below 1, `n_threads` below 0, or the model's scores
        are not finite or of another shape.
    """
    if n_threads < 0:
        raise ValueError(f"n_threads must not be negative; got {n_threads}")
    lowest, codes = threshold32(floor, "floor"), distinct_code_list(codes_in_use)
    step = codes_at_a_time(model.n_items, block_codes)
    item_ids, n_threads = np.arange(model.n_items, dtype=np.int32), n_threads or os.cpu_count() or 1
    built = _Built(len(codes))
    waiting: list[Future[BlockCut]] = []

    def collect() -> None:
        if waiting:
            built.add(waiting)
            if on_progress is not None:
                on_progress(built.n_lists, len(codes))

    for start in range(0, len(codes), step):
        if should_stop is not None and should_stop():
            raise BuildStopped(f"stopped after {start} of {len(codes)} codes")
        scores = code_scores(model, codes[start : start + step])
        collect()
        waiting = _start_cut(scores, item_ids, lowest, n_threads)
    collect()
    return InvertedIndex(codes, offsets(built.lengths), *built.postings.finished(), model.n_items, float(lowest))


def codes_at_a_time(n_items: int, block_codes: int) -> int:
    """Codes that `build_index` scores in one call; ValueError if `block_codes` is below 1."""
    step = block_step(n_items, block_codes)
    return max(1, step // BLOCK_PARTS) if step * n_items > SPLIT_ABOVE else step


def add_lists(index: InvertedIndex, model: CodedModel, codes: np.ndarray, block_codes: int) -> InvertedIndex:
    """A new index with lists for more codes, under the same floor; codes that have a list keep it.

    ValueError if the model has another catalogue, or as in `build_index`.
    """
    if model.n_items != index.n_items:
        raise ValueError(f"the index is over {index.n_items} items; the model has {model.n_items}")
    codes = distinct_code_list(codes)
    missing = codes[index.rows_of(codes) < 0]
    return merged(index, build_index(model, missing, index.floor, block_codes)) if len(missing) else index


class BlockCut(NamedTuple):
    """Postings of n lists: keys (uint64, see `sparcode.index.build_kernels`), ascending within each list, and lengths (n,) int64."""

    keys: np.ndarray
    lengths: np.ndarray


def cut_block(scores: np.ndarray, item_ids: np.ndarray, floor: np.float32) -> BlockCut:
    """Keep the scores (n, m) float32 above the floor, sorted; `item_ids` (m,) int32 are the columns' items. Releases the GIL."""
    lengths = np.empty(len(scores), dtype=np.int64)
    build_kernels.count_above(scores, floor, lengths)
    ends = np.cumsum(lengths)
    keys = np.empty(int(lengths.sum()) + 1, dtype=np.uint64)
    build_kernels.write_keys(scores, item_ids, floor, keys)
    for start, end in zip(ends - lengths, ends, strict=True):
        keys[start:end].sort()
    return BlockCut(keys[:-1], lengths)


def row_ranges(n_rows: int, n_ranges: int) -> list[tuple[int, int]]:
    """Bounds of at most `n_ranges` runs of nearly equal size that make up `n_rows` rows; none is empty."""
    edges = np.linspace(0, n_rows, min(n_ranges, n_rows) + 1).astype(np.int64).tolist() if n_rows else []
    return list(pairwise(edges))


def _start_cut(scores: np.ndarray, item_ids: np.ndarray, floor: np.float32, n_threads: int) -> list[Future[BlockCut]]:
    """Cut a block, each thread some of its lists."""
    if n_threads == 1 or scores.size < THREADS_ABOVE:
        cut: Future[BlockCut] = Future()
        cut.set_result(cut_block(scores, item_ids, floor))
        return [cut]
    pool = thread_pool(n_threads)
    return [pool.submit(cut_block, scores[first:last], item_ids, floor) for first, last in row_ranges(len(scores), n_threads)]


class _Built:
    """The first `n_lists` of all lists."""

    def __init__(self, n_all: int) -> None:
        self.n_lists = 0
        self.lengths = np.zeros(n_all, dtype=np.int64)
        self.postings = GrowingPostings()

    def add(self, waiting: list[Future[BlockCut]]) -> None:
        """Wait for a block that is being cut and append its postings; `waiting` is emptied, so that no block outlives this call."""
        cuts = [cut.result() for cut in waiting]
        waiting.clear()
        n_lists, n_keys = sum(len(cut.lengths) for cut in cuts), sum(len(cut.keys) for cut in cuts)
        expected = (int(self.lengths.sum()) + n_keys) * len(self.lengths) // (self.n_lists + n_lists)
        for cut in cuts:
            build_kernels.split_keys(cut.keys, *self.postings.claim(len(cut.keys), expected))
            self.lengths[self.n_lists : self.n_lists + len(cut.lengths)] = cut.lengths
            self.n_lists += len(cut.lengths)
