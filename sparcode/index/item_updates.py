"""Change some items of an index and leave the rest as it is: remove them, score them again, add new ones.

The untouched postings are neither scored nor sorted again: one pass over every list drops the changed items and merges in their new
postings, which are sorted already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sparcode.index import build_kernels
from sparcode.index.block_cut import BlockCut, cut_block, row_ranges
from sparcode.index.build_kernels import Lists
from sparcode.index.coded_model import CodedModel
from sparcode.index.growing_postings import GrowingPostings
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.score_table import block_step, code_scores

NO_KEYS = np.zeros(0, dtype=np.uint64)


def remove_items(index: InvertedIndex, item_ids: np.ndarray) -> InvertedIndex:
    """An index in which some items have no postings; all items keep their ids.

    Parameters
    ----------
    index
        Not changed.
    item_ids
        Integers of any shape in [0, I); repeats count once.

    Returns
    -------
    InvertedIndex
        As if the items' scores had not been above the floor.

    Raises
    ------
    ValueError
        If an id is no integer or outside.
    """
    removed = _distinct_items(item_ids, index.n_items)
    if len(removed) == 0:
        return index
    nothing = BlockCut(NO_KEYS, np.zeros(index.n_lists, dtype=np.int64))
    return _rewritten(index, index.n_items, removed, iter([nothing]))


def rescore_items(index: InvertedIndex, model: CodedModel, item_ids: np.ndarray, block_codes: int = 1024) -> InvertedIndex:
    """An index in which some items have the model's scores of now, for every stored code.

    Parameters
    ----------
    index
        Not changed.
    model
        Scores the items. If it has more items than the index, those from ``index.n_items`` on are new: they are scored too, whether or not
        `item_ids` names them, so that the new index is complete.
    item_ids
        Integers of any shape in ``[0, model.n_items)``; repeats count once.
    block_codes
        Codes scored at a time, against the given items only.

    Returns
    -------
    InvertedIndex
        What a rebuild for the same codes and floor gives if no other item's scores have changed.

    Raises
    ------
    ValueError
        If the model has fewer items than the index, an id is no integer or outside, `block_codes` is below 1, or the model's scores are not
        finite or of another shape.
    """
    if model.n_items < index.n_items:
        raise ValueError(f"the model must have at least the index's {index.n_items} items; it has {model.n_items}")
    changed = np.union1d(_distinct_items(item_ids, model.n_items), np.arange(index.n_items, model.n_items))
    step = block_step(len(changed), block_codes)
    if len(changed) == 0:
        return index
    return _rewritten(index, model.n_items, changed, _new_postings(index, model, changed, step))


def _new_postings(index: InvertedIndex, model: CodedModel, items: np.ndarray, step: int) -> Iterator[BlockCut]:
    columns = items.astype(np.int32)
    for start in range(0, index.n_lists, step):
        yield cut_block(code_scores(model, index.codes[start : start + step], items), columns, np.float32(index.floor))


def _rewritten(index: InvertedIndex, n_items: int, items: np.ndarray, blocks: Iterator[BlockCut]) -> InvertedIndex:
    """The index with other postings for some items; `blocks` are the new ones, list after list."""
    is_replaced = np.zeros(n_items, dtype=bool)
    is_replaced[items] = True
    lengths = np.zeros(index.n_lists, dtype=np.int64)
    postings = GrowingPostings()
    first = 0
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="item-updates") as pool:
        for block in blocks:
            last = first + len(block.lengths)
            old = Lists(index.indptr[first : last + 1], index.item_ids, index.scores)
            lengths[first:last] = _merge_block(old, is_replaced, block, postings, pool)
            first = last
    return InvertedIndex(index.codes, _starts(lengths), *postings.finished(), n_items, index.floor)


def _merge_block(old: Lists, is_replaced: np.ndarray, new: BlockCut, postings: GrowingPostings, pool: ThreadPoolExecutor) -> np.ndarray:
    """Append n lists of old and new postings; returns their (n,) lengths. Each thread has lists of its own."""
    lengths = np.empty(len(new.lengths), dtype=np.int64)
    ranges = row_ranges(len(lengths), os.cpu_count() or 1)

    def count(first: int, last: int) -> None:
        build_kernels.count_kept(old.indptr[first : last + 1], old.item_ids, is_replaced, lengths[first:last])

    _in_threads(pool, count, ranges)
    lengths += new.lengths
    starts, key_starts = _starts(lengths), _starts(new.lengths)
    item_ids, scores = postings.claim(int(starts[-1]), len(old.item_ids))

    def merge(first: int, last: int) -> None:
        rows = slice(first, last + 1)
        part = old._replace(indptr=old.indptr[rows])
        build_kernels.merge_lists(part, is_replaced, key_starts[rows], new.keys, Lists(starts[rows], item_ids, scores))

    _in_threads(pool, merge, ranges)
    return lengths


def _in_threads(pool: ThreadPoolExecutor, work: Callable[[int, int], None], ranges: list[tuple[int, int]]) -> None:
    for done in [pool.submit(work, first, last) for first, last in ranges]:
        done.result()


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _distinct_items(item_ids: np.ndarray, n_items: int) -> np.ndarray:
    """The distinct ids, sorted, (n,) int64, checked."""
    item_ids = np.asarray(item_ids)
    if item_ids.size == 0:
        return np.zeros(0, dtype=np.int64)
    if item_ids.dtype.kind not in "iu":
        raise ValueError(f"item_ids must be integers; got dtype {item_ids.dtype}")
    lowest, highest = int(item_ids.min()), int(item_ids.max())
    if lowest < 0 or highest >= n_items:
        raise ValueError(f"item_ids must lie in [0, {n_items}); got {lowest if lowest < 0 else highest}")
    return np.unique(item_ids).astype(np.int64)
