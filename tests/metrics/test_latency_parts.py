from __future__ import annotations

import numpy as np
import pytest

from sparcode.index.block_index import block_index
from sparcode.index.index_builder import build_index
from sparcode.index.part_kernels import sum_lists
from sparcode.metrics import latency_parts
from sparcode.metrics.latency_parts import measure_parts
from sparcode.retrieval.sparse import SparseRetriever
from tests.tiny import tiny_index, tiny_model, tiny_split


def retriever() -> SparseRetriever:
    return SparseRetriever(tiny_model(), tiny_index(), tiny_index().floor)


def test_summed_lists_are_what_direct_scoring_adds_up() -> None:
    index, threshold = tiny_index(), np.float32(tiny_index().floor)
    lists, weights = np.array([2, 0], dtype=np.int64), np.array([0.25, 0.75], dtype=np.float32)
    sums, expected = np.zeros(index.n_items, dtype=np.float32), np.zeros(index.n_items)
    n_read = sum_lists(lists, weights, index.indptr, index.threshold_ends(threshold), index.item_ids, index.scores, threshold, sums)
    for number, weight in zip(lists, weights, strict=True):
        part = slice(index.indptr[number], index.indptr[number + 1])
        expected[index.item_ids[part]] += weight * (index.scores[part] - threshold)
    np.testing.assert_allclose(sums, expected, rtol=1e-5)
    assert n_read == sum(index.list_lengths(threshold)[lists])


def test_parts_add_up_to_the_time_of_a_query(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock on which everything takes a millisecond.
    ticks = iter(range(0, 10**12, 10**6))
    monkeypatch.setattr(latency_parts.time, "perf_counter_ns", lambda: next(ticks))
    monkeypatch.setattr(SparseRetriever, "time_of_adding", lambda self, codes, weights: 250_000)
    parts = measure_parts(tiny_model(), retriever(), tiny_split().test.queries, 5, n_calls=4)
    assert (parts.lists, parts.top_k) == (0.25, 0.75)
    assert parts.encode + parts.codes == 1


def test_every_part_of_a_real_query_is_measured() -> None:
    parts = measure_parts(tiny_model(), retriever(), tiny_split().test.queries, 5)
    assert all(np.isfinite(part) and part >= 0 for part in parts)
    assert parts.encode > 0
    assert parts.top_k > 0


def test_codes_without_a_list_count_too() -> None:
    codes = tiny_index().codes
    few = build_index(tiny_model(), codes[:5], tiny_index().floor, 7)
    searched = SparseRetriever(tiny_model(), few, few.floor)
    assert searched.time_of_adding(codes[None, 4:6], np.full((1, 2), 0.5, dtype=np.float32)) > 0
    assert searched.index.n_lists == 6


def test_blocks_and_no_queries_are_refused() -> None:
    blocks = SparseRetriever(tiny_model(), block_index(tiny_index(), tiny_index().floor), tiny_index().floor)
    with pytest.raises(ValueError, match="in blocks"):
        blocks.time_of_adding(*tiny_model().encode(tiny_split().test.queries.take(np.array([0]))))
    with pytest.raises(ValueError, match="at least one row"):
        measure_parts(tiny_model(), retriever(), tiny_split().test.queries.take(np.zeros(0, dtype=np.int64)), 5)
