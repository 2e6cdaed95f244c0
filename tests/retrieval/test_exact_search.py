"""Search against brute force, bit for bit: random and awkward indexes, every layout, well over 10,000 queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.data.interactions import Histories
from sparcode.index import kernels
from sparcode.index.block_index import BlockIndex, block_index
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut
from sparcode.index.search_arrays import N_BUCKETS
from sparcode.retrieval.contract import Retrieved
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel

SCORES = {
    "ties": [-1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0],
    "one value": [0.5],
    "denormal": [-1e-45, 0.0, 1e-45, 3e-45, 1e-40, 1.2e-38],
    "huge": [-1.5e38, -1.0, 1e30, 1e38, 1.5e38],
    "all sizes": [-1e20, -1.0, 0.0, 1e-45, 1e-30, 1e-7, 1.0, 1.0000001, 1e7, 1e30],
}
WEIGHTS = {
    "plain": [0.0, 0.1, 0.5, 1.0, 2.5],
    "ones": [1.0],
    "none": [0.0],
    "uneven": [0.0, 1e-45, 1e-30, 1e-3, 1.0, 1e3, 1e30, 3e38],
}
LAYOUTS = ["float32", "blocked", "quantized"]
N_ROWS = 40


class Search(NamedTuple):
    """A model's table, what is served of it, and queries."""

    table: np.ndarray
    stored: np.ndarray
    floor: float
    cut: Cut
    codes: np.ndarray
    weights: np.ndarray
    seen: Histories
    k: int
    only: ItemFilter | None = None
    unseen: str = "compute"
    shift: int = 6
    item_ids: np.ndarray | None = None


def random_search(seed: int, n_rows: int = N_ROWS) -> Search:
    rng = np.random.default_rng(seed)
    n_codes, n_items = int(rng.integers(1, 13)), int(rng.choice([1, 2, 9, 64, 65, 300, 700]))
    kind = rng.choice([*SCORES, "normal"])
    table = rng.normal(size=(n_codes, n_items)) if kind == "normal" else rng.choice(SCORES[kind], size=(n_codes, n_items))
    table = table.astype(np.float32)
    table[rng.random(table.shape) < rng.choice([0.0, 0.5, 0.97], size=(n_codes, 1))] = -np.inf
    table[rng.random(n_codes) < 0.1] = -np.inf
    finite = np.unique(table[np.isfinite(table)]) if np.isfinite(table).any() else np.zeros(1, dtype=np.float32)
    lowest = float(np.nextafter(finite[0], np.float32(-3e38)))
    threshold = float(rng.choice([lowest, *finite[: len(finite) // 2 + 1], finite[-1]]))
    floor = float(rng.choice([lowest, threshold]))
    width = int(rng.choice([1, 2, 5, 17, 40]))
    weights = rng.choice(WEIGHTS[rng.choice(list(WEIGHTS), p=[0.5, 0.2, 0.05, 0.25])], size=(n_rows, width)).astype(np.float32)
    seen = [rng.choice(n_items, rng.integers(0, min(n_items, 9) + 1), replace=False).tolist() for _ in range(n_rows)]
    some = rng.choice(n_items, rng.integers(0, n_items + 1), replace=False)
    only = [None, None, ItemFilter(n_items, allow=some), ItemFilter(n_items, deny=some), ItemFilter(n_items, allow=[])][rng.integers(5)]
    stored = np.arange(n_codes) if rng.random() < 0.6 else np.sort(rng.choice(n_codes, rng.integers(1, n_codes + 1), replace=False))
    return Search(
        table,
        stored,
        floor,
        Cut(threshold, int(rng.choice([0, 0, 1, 3, 50]))),
        rng.integers(n_codes, size=(n_rows, width)),
        weights,
        Histories.from_lists(seen, n_items),
        int(rng.choice([1, 2, 10, n_items, n_items + 5, 193, 260])),
        only,
        str(rng.choice(["compute", "nearest"])),
        int(rng.choice([1, 3, 6, 8, 9, 16])),
        [None, np.zeros(0, dtype=np.int32), rng.permutation(n_items).astype(np.int32)][rng.integers(3)],
    )


def index_of(search: Search) -> InvertedIndex:
    return build_index(TableModel(search.table), search.stored, search.floor, 5)


def layout_of(search: Search, layout: str) -> InvertedIndex | BlockIndex:
    index = index_of(search)
    if layout == "float32":
        return index
    score_type = "uint16" if layout == "quantized" else "float32"
    return block_index(index, search.cut.threshold, score_type, search.cut.per_list, search.shift, search.item_ids)


def added_by_lists(table: np.ndarray, cut: Cut) -> np.ndarray:
    """(n_codes, I) float32: what each list adds to each item at weight 1."""
    tau = np.float32(cut.threshold)
    added = np.where(table > tau, table - tau, np.float32(0))
    if cut.per_list:
        best_first = np.argsort(-table, axis=1, kind="stable")
        np.put_along_axis(added, best_first[:, cut.per_list :], np.float32(0), axis=1)
    return added


def each_code_once(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each code of a query once, in order, with the sum of its weights above 0; short rows are filled up at weight 0."""
    once, sums = np.zeros_like(codes), np.zeros_like(weights)
    for row, (own, shares) in enumerate(zip(codes, weights, strict=True)):
        added: dict[int, np.float32] = {}
        for code, weight in zip(own[shares > 0].tolist(), shares[shares > 0], strict=True):
            added[code] = min(added.get(code, np.float32(0)) + weight, np.finfo(np.float32).max)
        once[row, : len(added)], sums[row, : len(added)] = list(added), list(added.values())
    return once, sums


def brute_force(added: np.ndarray, rows: np.ndarray, weights: np.ndarray, seen: Histories, k: int, only: ItemFilter | None) -> Retrieved:
    """Every item of every query added up in float32, in the order of the query's lists; then a stable sort."""
    n_rows, n_items = len(rows), added.shape[1]
    sums = np.zeros((n_rows, n_items), dtype=np.float32)
    for of_slot, weight in zip(rows.T, weights.T, strict=True):
        counts = weight > 0
        sums[counts] += weight[counts, None] * added[of_slot[counts]]
    sums[seen.rows, seen.items] = 0
    if only is not None and len(denied := only.denied_of(n_items)):
        sums[:, denied] = 0
    order = np.argsort(-sums, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(sums, order, axis=1)
    result = Retrieved(np.full((n_rows, k), -1, dtype=np.int32), np.full((n_rows, k), -np.inf, dtype=np.float32))
    result.item_ids[:, : order.shape[1]] = np.where(best > 0, order, -1)
    result.scores[:, : order.shape[1]] = np.where(best > 0, best, -np.inf)
    return result


def expected_of(search: Search, index: InvertedIndex | BlockIndex) -> Retrieved:
    table, n_items = search.table, search.table.shape[1]
    with np.errstate(over="ignore"):
        codes, weights = each_code_once(search.codes, search.weights)
    if isinstance(index, BlockIndex):
        # Of quantized scores the sums are exact too; lists computed later are quantized as well.
        table = np.full_like(table, -np.inf)
        lists = build_index(TableModel(search.table), np.arange(len(table)), search.cut.threshold, 5)
        whole = block_index(lists, search.cut.threshold, index.score_type, search.cut.per_list, index.shift)
        for code in range(len(table)):
            item_ids, scores = whole.posting_list(code)
            table[code, item_ids] = scores
    if search.unseen == "nearest":
        # The fake's vector of a code is the code itself.
        codes = search.stored[np.argmin(np.abs(codes[:, :, None] - search.stored), axis=2)]
    with np.errstate(over="ignore"):
        added = added_by_lists(table, search.cut)
        assert added.shape[1] == n_items
        return brute_force(added, codes, weights, search.seen, search.k, search.only)


def is_same(found: Retrieved, expected: Retrieved) -> bool:
    """Equal bit by bit."""
    return np.array_equal(found.item_ids, expected.item_ids) and np.array_equal(
        found.scores.view(np.uint32), expected.scores.view(np.uint32)
    )


def is_exact(search: Search, layout: str, n_threads: tuple[int, ...] = (1, 2)) -> bool:
    """Whether what is found is what brute force finds, by any number of threads, and the second time as the first."""
    index = layout_of(search, layout)
    expected = expected_of(search, index)
    retrievers = [SparseRetriever(TableModel(search.table), index, search.cut, search.unseen, n_threads=n) for n in n_threads]
    asked = (search.codes, search.weights, search.seen, search.k, search.only)
    return all(is_same(retriever.retrieve_codes(*asked), expected) for retriever in retrievers for _ in range(2))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("part", range(3))
def test_thousands_of_random_queries_equal_brute_force(layout: str, part: int) -> None:
    n_searches = 100
    seeds = range(part * n_searches, (part + 1) * n_searches)
    assert [seed for seed in seeds if not is_exact(random_search(seed), layout)] == []


@given(seed=st.integers(1000, 2**32 - 1), layout=st.sampled_from(LAYOUTS), n_rows=st.sampled_from([0, 1, 3]), has_lists=st.booleans())
def test_any_random_query_equals_brute_force(seed: int, layout: str, n_rows: int, has_lists: bool) -> None:
    search = random_search(seed, n_rows)
    if not has_lists:
        search = search._replace(codes=search.codes[:, :0], weights=search.weights[:, :0])
    assert is_exact(search, layout, n_threads=(1,))


def awkward_tables(n_items: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Tables of eight lists, with the weights of a row, made to lead a search that ends early astray."""
    rng = np.random.default_rng(0)
    ones = np.ones(8)
    low, high = rng.uniform(0.1, 0.2, size=(8, n_items)), rng.uniform(0.1, 0.2, size=(8, n_items))
    high[0] = rng.uniform(100, 200, size=n_items)
    # Every list alone puts these items last; all lists have them, so together they win.
    steady = np.full((8, n_items), -np.inf)
    steady[:, -20:] = 0.11
    for number in range(8):
        own = np.arange(number, n_items - 20, 8)
        steady[number, own] = rng.uniform(0.2, 0.5, size=len(own))
    slope = np.tile(np.linspace(1, 2, n_items), (8, 1))
    slope[1::2] = slope[1::2, ::-1]
    one_each = np.full((8, n_items), -np.inf)
    one_each[np.arange(8), np.arange(8) * 3] = 1.0
    return {
        "one list dominates": (high, ones),
        "one weight dominates": (low, np.array([1e-6, 1e6, 1e-3, 1, 1, 1e3, 1e-30, 0.5])),
        "all sums equal": (np.full((8, n_items), 0.5), ones),
        "all sums equal, over slopes that meet": (slope, ones),
        "the best are last in every list": (steady, ones),
        "one item per list": (one_each, ones),
        "steps of one bit": (np.float32(1) + rng.integers(0, 3, size=(8, n_items)) * np.finfo(np.float32).eps, ones),
        "no list but one": (np.vstack([low[:1], np.full((7, n_items), -np.inf)]), ones),
        "sums of infinity": (np.full((8, n_items), 3e38), ones),
        "sums that vanish": (np.full((8, n_items), 1e-45), np.full(8, 0.25)),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", awkward_tables(30))
@pytest.mark.parametrize("per_list", [0, 25])
def test_an_early_end_misses_nothing(name: str, layout: str, per_list: int) -> None:
    n_items = 700
    table, weights = awkward_tables(n_items)[name]
    weights = np.tile(np.float32(weights), (4, 1))
    rows = np.array([np.arange(8), np.arange(8)[::-1], np.zeros(8), [3, 3, 1, 1, 0, 0, 0, 7]], dtype=np.int64)
    seen = Histories.from_lists([[], [0, 5, 699], list(range(0, 700, 2)), list(range(690, 700))], n_items)
    for k in (1, 7, 192, 193, 701):
        for only in (None, ItemFilter(n_items, deny=np.arange(0, n_items, 3))):
            search = Search(np.float32(table), np.arange(8), 0.0, Cut(0.0, per_list), rows, weights, seen, k, only)
            assert is_exact(search, layout, n_threads=(1,))


@pytest.mark.parametrize(
    "bounds", [[1, 3, 2], [np.inf, 1, 0, np.inf], [1e-45, 0, 3e-45], [3.4e38, 0, 1e38], [1e-37, 1e-38, 0], [2, 2, 2], [np.inf, 1e-45]]
)
def test_every_block_that_can_add_something_has_its_place(bounds: list[float]) -> None:
    # Interpreted too: compiled, a place beyond the table of buckets may go unnoticed.
    for order_by_bound in (kernels._order_by_bound, kernels._order_by_bound.py_func):
        for least in (0.0, 1e-45, 1.0, 2.0):
            chosen, order, buckets = np.full(len(bounds), -1), np.full(len(bounds), -1), np.empty(N_BUCKETS, dtype=np.int64)
            expected = [block for block, bound in enumerate(np.float32(bounds)) if bound > 0 and bound >= np.float32(least)]
            n_open = order_by_bound(np.float32(bounds), np.float32(least), np.float32(max(bounds)), chosen, order, buckets)
            assert sorted(order[:n_open].tolist()) == expected
            if expected and max(bounds) > 1e-30:
                assert bounds[order[0]] == max(bounds)


@given(st.lists(st.floats(0, float("inf"), width=32), max_size=40))
def test_the_highest_bound_is_found_by_its_bits(bounds: list[float]) -> None:
    assert kernels._highest(np.float32(bounds)) == np.float32(max(bounds, default=0.0)).view(np.uint32)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("n_items", "shift"), [(70_001, 16), (70_001, 10), (131_072, 16), (131_073, 12)])
def test_catalogues_of_several_blocks_equal_brute_force(n_items: int, shift: int, layout: str) -> None:
    rng = np.random.default_rng(n_items)
    table = np.full((6, n_items), -np.inf, dtype=np.float32)
    for number, share in enumerate([0.001, 0.01, 0.05, 0.3, 0.02, 0.0]):
        items = rng.choice(n_items, int(share * n_items), replace=False)
        table[number, items] = rng.integers(1, 9, size=len(items)) / 8 if number % 2 else rng.random(len(items))
    # The highest id, and the first of a block.
    table[0, [n_items - 1, 65_536, 0]] = 2
    rows = rng.integers(6, size=(6, 7))
    seen = Histories.from_lists([rng.choice(n_items, 50, replace=False).tolist() for _ in range(6)], n_items)
    weights = rng.choice([0.5, 1, 3], size=rows.shape).astype(np.float32)
    search = Search(table, np.arange(5), 0.0, Cut(0.1), rows, weights, seen, 100, shift=shift)
    assert is_exact(search, layout, n_threads=(1,))


def test_a_search_for_more_after_one_for_less_is_as_if_alone() -> None:
    search = random_search(7)._replace(k=1)
    for layout in LAYOUTS:
        index = layout_of(search, layout)
        shared = SparseRetriever(TableModel(search.table), index, search.cut, search.unseen, n_threads=1)
        for k, width in ((1, 1), (300, search.codes.shape[1]), (2, 1), (30, search.codes.shape[1])):
            part = search._replace(k=k, codes=search.codes[:, :width], weights=search.weights[:, :width])
            assert is_same(shared.retrieve_codes(part.codes, part.weights, part.seen, k, part.only), expected_of(part, index))


def test_float32_postings_may_be_as_far_apart_as_they_like_but_quantized_ones_not() -> None:
    table = np.array([[-3e38, 3e38, 1.0, 0.0]], dtype=np.float32)
    seen = Histories.from_lists([[1], []], 4)
    rows, weights = np.zeros((2, 3), dtype=np.int64), np.tile(np.float32([1, 0, 2]), (2, 1))
    search = Search(table, np.arange(1), -3.2e38, Cut(-3.1e38), rows, weights, seen, 4, shift=1)
    for layout in LAYOUTS[:2]:
        assert is_exact(search, layout)
    with pytest.raises(ValueError, match="scores of code 0 run from -3e\\+38 to 3e\\+38, too far apart to be quantized"):
        layout_of(search, "quantized")


def test_blocks_are_served_as_they_were_cut() -> None:
    search = random_search(3)._replace(cut=Cut(0.0, 3), floor=-1.0)
    model, blocks = TableModel(search.table), layout_of(search, "blocked")
    assert SparseRetriever(model, blocks, 0.0).size_bytes() == SparseRetriever(model, blocks, Cut(0.0, 3)).size_bytes()
    with pytest.raises(ValueError, match="made with 3 postings per list and cannot be served with 5"):
        SparseRetriever(model, blocks, Cut(0.0, 5))
    with pytest.raises(ValueError, match="threshold must be at least the index's floor"):
        SparseRetriever(model, blocks, -0.5)
