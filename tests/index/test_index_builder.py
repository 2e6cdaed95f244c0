from __future__ import annotations

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.index import build_kernels, index_builder
from sparcode.index.block_cut import row_ranges
from sparcode.index.growing_postings import GrowingPostings
from sparcode.index.index_builder import IndexBuilder, add_lists, build_index
from sparcode.index.inverted_index import ARRAY_DTYPES, BuildStopped, InvertedIndex
from sparcode.index.ordering import posting_keys, postings_of_keys
from tests.fakes import TableModel

FLOORS = st.sampled_from([-np.inf, -5.0, -1.0, -0.25, 0.0, 0.5, 9.0])


def tied_table(seed: int, n_codes: int = 7, n_items: int = 11) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.integers(-4, 5, size=(n_codes, n_items)).astype(np.float32) / 2
    table[rng.random(table.shape) < 0.1] = -np.inf
    table[rng.random(table.shape) < 0.1] = -0.0
    return table


def reference(table: np.ndarray, codes: list[int], floor: float) -> InvertedIndex:
    """The whole table at once: one sort of keys per code."""
    codes = sorted(set(codes))
    kept = [np.flatnonzero(table[code] > floor) for code in codes]
    keys = [np.sort(posting_keys(table[code, items], items)) for code, items in zip(codes, kept, strict=True)]
    item_ids, scores = postings_of_keys(np.concatenate([np.zeros(0, dtype=np.uint64), *keys]))
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in kept])]).astype(np.int64)
    return InvertedIndex(np.array(codes, dtype=np.int64), indptr, item_ids, scores, table.shape[1], floor)


def assert_same(one: InvertedIndex, other: InvertedIndex) -> None:
    for name in ARRAY_DTYPES:
        # Bytes, so that zeros of different sign differ.
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert (one.n_items, one.floor) == (other.n_items, other.floor)


@given(
    seed=st.integers(0, 2**32 - 1),
    codes=st.lists(st.integers(0, 6), max_size=9),
    floor=FLOORS,
    block_codes=st.integers(1, 9),
    n_threads=st.integers(1, 3),
)
def test_it_equals_sorting_the_whole_table(seed: int, codes: list[int], floor: float, block_codes: int, n_threads: int) -> None:
    table = tied_table(seed)
    index = IndexBuilder(TableModel(table), np.array(codes, dtype=int), floor, block_codes, n_threads).run()
    assert_same(index, reference(table, codes, floor))
    index.check_postings()


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("floor", [-np.inf, 0.0, 1.5, 99.0])
def test_threads_and_parts_change_nothing(monkeypatch: pytest.MonkeyPatch, n_threads: int, floor: float) -> None:
    monkeypatch.setattr(index_builder, "THREADS_ABOVE", 0)
    monkeypatch.setattr(index_builder, "SPLIT_ABOVE", 0)
    monkeypatch.setattr(index_builder, "BLOCK_PARTS", 4)
    table = tied_table(3, n_codes=61, n_items=203)
    model = TableModel(table)
    index = IndexBuilder(model, np.arange(61), floor, 12, n_threads).run()
    assert_same(index, reference(table, list(range(61)), floor))
    assert {len(codes) for codes in model.scored} == {3, 1}


@given(seed=st.integers(0, 2**32 - 1), block_codes=st.integers(1, 4), stops=st.lists(st.integers(0, 3), max_size=6))
def test_a_stopped_build_goes_on_where_it_was(seed: int, block_codes: int, stops: list[int]) -> None:
    model = TableModel(tied_table(seed))
    builder = IndexBuilder(model, np.arange(7), -0.5, block_codes)
    for blocks in stops:
        expected, target = min(7, builder.done + blocks * block_codes), len(model.scored) + blocks
        with suppress(BuildStopped):
            builder.run(should_stop=lambda target=target: len(model.scored) >= target)
        assert builder.done == expected
    index = builder.run()
    assert_same(index, reference(model.table, list(range(7)), -0.5))
    assert np.concatenate(model.scored).tolist() == list(range(7))  # none twice
    assert builder.run() is index
    assert (builder.done, builder.total) == (7, 7)


def test_progress_is_told_in_order_across_stops() -> None:
    told: list[tuple[int, int]] = []
    model = TableModel(tied_table(0))
    builder = IndexBuilder(model, np.arange(7), 0.0, 2)
    with pytest.raises(BuildStopped, match="after 4 of 7 codes"):
        builder.run(lambda: len(model.scored) == 2, lambda *step: told.append(step))
    assert told == [(2, 7), (4, 7)]
    builder.run(on_progress=lambda *step: told.append(step))
    assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]


class FailsOnce(TableModel):
    """The fourth call raises."""

    def score_codes(self, codes: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
        scores = super().score_codes(codes, items)
        if len(self.scored) == 4:
            raise RuntimeError("no memory left on the device")
        return scores


@pytest.mark.parametrize("threads_above", [0, 1 << 16])
def test_what_was_scored_outlives_an_error(monkeypatch: pytest.MonkeyPatch, threads_above: int) -> None:
    monkeypatch.setattr(index_builder, "THREADS_ABOVE", threads_above)
    model = FailsOnce(tied_table(1))
    builder = IndexBuilder(model, np.arange(7), 0.0, 1)
    with pytest.raises(RuntimeError, match="no memory"):
        builder.run()
    assert builder.done == 3
    assert_same(builder.run(), reference(model.table, list(range(7)), 0.0))
    assert [codes.tolist() for codes in model.scored] == [[0], [1], [2], [3], [3], [4], [5], [6]]


def test_a_callable_that_raises_loses_nothing() -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    model = TableModel(tied_table(1))
    builder = IndexBuilder(model, np.arange(7), 0.0, 3)
    with pytest.raises(KeyboardInterrupt):
        builder.run(on_progress=interrupt)
    assert_same(builder.run(), reference(model.table, list(range(7)), 0.0))
    assert np.concatenate(model.scored).tolist() == list(range(7))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    table = tied_table(2)
    table[4, 1] = bad
    builder = IndexBuilder(TableModel(table), np.arange(7), 0.0, 2)
    with pytest.raises(ValueError, match="NaN or"):
        builder.run()
    assert builder.done == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor": np.nan}, "floor must be a number below"),
        ({"codes_in_use": [0.5]}, "codes must be integers; got dtype float64"),
        ({"codes_in_use": [-1]}, "not be negative; got -1"),
        ({"block_codes": 0}, "block_codes must be at least 1; got 0"),
        ({"n_threads": -2}, "n_threads must not be negative; got -2"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_scored(change: dict, message: str) -> None:
    settings = {"codes_in_use": [0, 1], "floor": 0.0, "block_codes": 2} | change
    with pytest.raises(ValueError, match=message):
        IndexBuilder(TableModel(tied_table(0)), **settings)


class WideModel:
    """Scores made on the spot, in one array and nothing beside it: a large catalogue without a table."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.row = np.random.default_rng(0).random(n_items, dtype=np.float32)

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        scores = np.empty((len(codes), self.n_items), dtype=np.float32)
        for row, code in enumerate(codes):
            shift = int(code) * 997 % self.n_items
            scores[row, shift:], scores[row, :shift] = self.row[: self.n_items - shift], self.row[self.n_items - shift :]
        return scores


@pytest.mark.parametrize("density", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_memory_stays_under_half_more_than_the_index_and_one_block(density: float, n_threads: int) -> None:
    build_kernels.warm_up()
    model, block_codes = WideModel(60_000), 32
    builder = IndexBuilder(model, np.arange(96), 1 - density - 1e-3, block_codes, n_threads)
    tracemalloc.start()
    try:
        index = builder.run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    index_bytes = sum(getattr(index, name).nbytes for name in ARRAY_DTYPES)
    assert index.kept_postings(index.floor) == pytest.approx(density * 96 * model.n_items, rel=0.1)
    assert peak < 1.5 * index_bytes + 4 * block_codes * model.n_items


@given(n_rows=st.integers(0, 50), n_ranges=st.integers(1, 9))
def test_ranges_make_up_all_rows(n_rows: int, n_ranges: int) -> None:
    ranges = row_ranges(n_rows, n_ranges)
    assert [row for first, last in ranges for row in range(first, last)] == list(range(n_rows))
    assert len(ranges) == min(n_rows, n_ranges)
    assert all(first < last for first, last in ranges)


def test_build_index_is_one_run_of_the_builder() -> None:
    model = TableModel(tied_table(4))
    assert_same(build_index(model, np.arange(7), 0.0, 2), IndexBuilder(model, np.arange(7), 0.0, 7, 2).run())


def test_builds_use_the_code_compiled_by_the_warm_up() -> None:
    build_kernels.warm_up()
    table = tied_table(4)
    table.flags.writeable = False
    model = TableModel(table)
    model.score_codes = lambda codes: table[:3]  # read-only, where a model usually makes new arrays
    index = IndexBuilder(model, np.arange(3), 0.0, 3).run()
    add_lists(index, TableModel(table), [5], 1)
    for kernel in (build_kernels.count_above, build_kernels.write_keys, build_kernels.split_keys, build_kernels.copy_lists):
        assert len(kernel.signatures) == 1


@pytest.mark.parametrize("n_threads", [1, 3])
def test_a_build_that_ran_out_of_memory_goes_on_with_nothing_lost(monkeypatch: pytest.MonkeyPatch, n_threads: int) -> None:
    table = tied_table(3, n_codes=9, n_items=40)
    builder = IndexBuilder(TableModel(table), np.arange(9), -np.inf, 2, n_threads)
    make_room, failures = GrowingPostings._make_room, iter([True])

    def fail_once(self: GrowingPostings, capacity: int) -> None:
        if next(failures, False):
            raise MemoryError
        make_room(self, capacity)

    monkeypatch.setattr(GrowingPostings, "_make_room", fail_once)
    with pytest.raises(MemoryError):
        builder.run()
    index = builder.run()
    assert_same(index, reference(table, list(range(9)), -np.inf))
