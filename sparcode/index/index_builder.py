"""Build an inverted index block by block: the table of all scores is never held, and a build that was stopped can go on."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from sparcode.index import build_kernels
from sparcode.index.block_cut import BlockCut, cut_block, row_ranges
from sparcode.index.coded_model import CodedModel
from sparcode.index.growing_postings import GrowingPostings
from sparcode.index.inverted_index import BuildStopped, InvertedIndex, merged, threshold32
from sparcode.index.score_table import block_step, code_scores, distinct_code_list

# A block of more scores (4 MiB) is scored in so many parts. Two of them are in memory at a time, and the rest of the block's size is left
# for what the network and the sort need in between. The parts of a smaller block would cost more calls than they save memory.
SPLIT_ABOVE, BLOCK_PARTS = 1 << 20, 5
# A smaller part is cut before a thread has woken up.
THREADS_ABOVE = 1 << 16


class IndexBuilder:
    """Scores the codes in use and keeps what lies above the floor, a block at a time.

    While a block is scored, threads cut and sort the one before. In memory are the postings so far, with some room to grow, and of the
    scores one block; two blocks where they are no larger than 4 MiB. The index does not depend on the number of threads.

    Parameters
    ----------
    model
        Scores codes; must not change between the runs of one builder.
    codes_in_use
        Integers of any shape; repeats count once.
    floor
        The lowest threshold the index can serve; -inf keeps everything.
    block_codes
        Codes in work at a time. Fewer where a block would grow beyond 2**25 scores; blocks of more than 2**20 scores are scored in parts.
    n_threads
        Threads that cut and sort beside the one that scores; 0 takes one per processor. 1 starts none: everything happens in turn.

    Raises
    ------
    ValueError
        If the floor is NaN or +inf, codes are no integers or negative, `block_codes` is below 1 or `n_threads` below 0.
    """

    def __init__(self, model: CodedModel, codes_in_use: np.ndarray, floor: float, block_codes: int, n_threads: int = 0) -> None:
        if n_threads < 0:
            raise ValueError(f"n_threads must not be negative; got {n_threads}")
        self._model = model
        self._floor = threshold32(floor, "floor")
        self._codes = distinct_code_list(codes_in_use)
        step = block_step(model.n_items, block_codes)
        self._step = max(1, step // BLOCK_PARTS) if step * model.n_items > SPLIT_ABOVE else step
        self._n_threads = n_threads or os.cpu_count() or 1
        self._item_ids = np.arange(model.n_items, dtype=np.int32)
        self._lengths = np.zeros(len(self._codes), dtype=np.int64)
        self._postings = GrowingPostings()
        self._done = 0
        self._waiting: list[Future[BlockCut]] = []
        self._index: InvertedIndex | None = None

    @property
    def done(self) -> int:
        """Codes whose lists are finished."""
        return self._done

    @property
    def total(self) -> int:
        """Codes in all."""
        return len(self._codes)

    def run(self, should_stop: Callable[[], bool] | None = None, on_progress: Callable[[int, int], None] | None = None) -> InvertedIndex:
        """Build what is not built yet. From one thread at a time.

        Parameters
        ----------
        should_stop
            Asked before every block (or part of one) is scored.
        on_progress
            Told ``(codes done, codes in all)`` after every one, in order.

        Returns
        -------
        InvertedIndex
            One list per code, empty where nothing is above the floor. The same object when called again.

        Raises
        ------
        BuildStopped
            If `should_stop` said so. Blocks scored by then are kept, as they are when the model or a callable raises: another call goes on
            behind them.
        ValueError
            If the model's scores are not finite or of another shape.
        """
        if self._index is not None:
            return self._index
        is_stopped = False
        tell = on_progress or _tell_nobody
        with ThreadPoolExecutor(self._n_threads, thread_name_prefix="index-builder") as pool:
            try:
                for start in range(self._done, self.total, self._step):
                    is_stopped = should_stop is not None and should_stop()
                    if is_stopped:
                        break
                    scores = code_scores(self._model, self._codes[start : start + self._step])
                    is_more_done = self._collect()
                    self._cut(scores, pool)
                    if is_more_done:
                        tell(self.done, self.total)
                if self._collect():
                    tell(self.done, self.total)
            finally:
                self._collect()
        if is_stopped:
            raise BuildStopped(f"stopped after {self.done} of {self.total} codes")
        indptr = np.concatenate([[0], np.cumsum(self._lengths)]).astype(np.int64)
        self._index = InvertedIndex(self._codes, indptr, *self._postings.finished(), self._model.n_items, float(self._floor))
        return self._index

    def _cut(self, scores: np.ndarray, pool: ThreadPoolExecutor) -> None:
        """Start cutting a block, each thread some of its lists."""
        if self._n_threads == 1 or scores.size < THREADS_ABOVE:
            cut: Future[BlockCut] = Future()
            cut.set_result(cut_block(scores, self._item_ids, self._floor))
            self._waiting = [cut]
            return
        ranges = row_ranges(len(scores), self._n_threads)
        self._waiting = [pool.submit(cut_block, scores[first:last], self._item_ids, self._floor) for first, last in ranges]

    def _collect(self) -> bool:
        """Wait for the block that is being cut and keep its postings; False: there is none."""
        waiting, self._waiting = self._waiting, []
        # All of them before any is kept: a block of which one failed is not half there.
        cuts = [cut.result() for cut in waiting]
        if not cuts:
            return False
        n_lists, n_keys = (sum(len(part) for part in parts) for parts in zip(*((cut.lengths, cut.keys) for cut in cuts), strict=True))
        expected = (int(self._lengths.sum()) + n_keys) * self.total // (self._done + n_lists)
        # One claim for all of the block, for it may fail: then nothing of it is there, and it is scored again.
        item_ids, scores = self._postings.claim(n_keys, expected)
        for cut in cuts:
            own, item_ids = np.split(item_ids, [len(cut.keys)])
            own_scores, scores = np.split(scores, [len(cut.keys)])
            build_kernels.split_keys(cut.keys, own, own_scores)
            self._lengths[self._done : self._done + len(cut.lengths)] = cut.lengths
            self._done += len(cut.lengths)
        return True


def _tell_nobody(done: int, total: int) -> None:
    pass


def build_index(
    model: CodedModel,
    codes_in_use: np.ndarray,
    floor: float,
    block_codes: int,
    should_stop: Callable[[], bool] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> InvertedIndex:
    """Score the codes in use and keep what lies above the floor; `IndexBuilder` is the same for a build that goes on after a stop.

    Parameters
    ----------
    model
        Scores codes.
    codes_in_use
        Integers of any shape; repeats count once.
    floor
        The lowest threshold the index can serve; -inf keeps everything.
    block_codes
        Codes in work at a time: only their scores are held beside the postings.
    should_stop
        Asked before every block.
    on_progress
        Told ``(codes done, codes in all)`` after every block.

    Returns
    -------
    InvertedIndex
        One list per code, empty where nothing is above the floor.

    Raises
    ------
    BuildStopped
        If `should_stop` said so.
    ValueError
        If the floor is NaN or +inf, codes are negative or the model's scores are not finite.
    """
    return IndexBuilder(model, codes_in_use, floor, block_codes).run(should_stop, on_progress)


def add_lists(index: InvertedIndex, model: CodedModel, codes: np.ndarray, block_codes: int) -> InvertedIndex:
    """A new index with lists for more codes, under the same floor; codes that have a list keep it.

    Parameters
    ----------
    index
        Stays as it is.
    model
        The model the index was built from.
    codes
        Integers of any shape.
    block_codes
        Codes scored at a time.

    Raises
    ------
    ValueError
        If the model has another catalogue, or as in `build_index`.
    """
    if model.n_items != index.n_items:
        raise ValueError(f"the index is over {index.n_items} items; the model has {model.n_items}")
    codes = distinct_code_list(codes)
    missing = codes[index.rows_of(codes) < 0]
    return merged(index, build_index(model, missing, index.floor, block_codes)) if len(missing) else index
