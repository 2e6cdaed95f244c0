from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.data.interactions import offsets
from sparcode.index.kernels import best_unseen, find_rows, first_bad, merge_codes
from tests.retrieval.tables import assert_row

CODES = st.lists(st.integers(0, 30), max_size=20)


@given(stored=CODES, asked=CODES)
def test_codes_are_found_where_they_stand(stored: list[int], asked: list[int]) -> None:
    ordered = sorted(set(stored))
    rows = np.empty(len(asked), dtype=np.int64)
    missing = find_rows(np.array(ordered, dtype=np.int64), np.array(asked, dtype=np.int64), rows)
    expected = [ordered.index(code) if code in ordered else -1 for code in asked]
    assert rows.tolist() == expected
    assert missing == expected.count(-1)


def test_codes_are_found_among_nearly_all_numbers_and_among_the_largest() -> None:
    last = np.iinfo(np.int64).max
    for stored in (np.delete(np.arange(100), [0, 17, 18, 63]), np.arange(9), np.array([0, 5, last - 1, last])):
        asked = np.array([0, 4, 5, 16, 17, 18, 19, 62, 63, 64, 98, 99, 100, last - 2, last - 1, last, -1])
        rows = np.empty(len(asked), dtype=np.int64)
        find_rows(stored, asked, rows)
        assert rows.tolist() == [int(np.flatnonzero(stored == code)[0]) if code in stored else -1 for code in asked]


@pytest.mark.parametrize(
    ("codes", "weights", "bad"),
    [
        ([], [], -1),
        ([0, 5], [0.0, 3.0], -1),
        ([0, -1], [1.0, np.nan], 1),
        ([0, 1, 2], [1.0, np.nan, -1.0], 1),
        ([0, 1], [np.inf, 1.0], 0),
        ([0, 1], [1.0, -1e-9], 1),
    ],
)
def test_the_first_bad_entry_is_named(codes: list[int], weights: list[float], bad: int) -> None:
    assert first_bad(np.array(codes, dtype=np.int64), np.array(weights, dtype=np.float32)) == bad


@pytest.mark.parametrize(
    ("codes", "weights", "once", "sums"),
    [
        ([5, 2, 5, 9], [1, 2, 3, 4], [5, 2, 9, 5], [4, 2, 4, 0]),
        ([7, 7, 7], [0, 0, 0], [7, 7, 7], [0, 0, 0]),
        ([1, 2, 1, 3], [0, 2, 1, 0], [2, 1, 2, 2], [2, 1, 0, 0]),
        ([4, 4], [3e38, 3e38], [4, 4], [np.finfo(np.float32).max, 0]),
        ([1, 4, 4, 6, 4, 8, 1], [1, 2, 3, 4, 5, 6, 7], [1, 4, 6, 8, 1, 1, 1], [8, 10, 4, 6, 0, 0, 0]),
        ([], [], [], []),
    ],
)
def test_a_code_stands_once_in_a_row_with_the_sum_of_its_weights(
    codes: list[int], weights: list[float], once: list[int], sums: list[float]
) -> None:
    rows, shares = np.full((2, len(codes)), -1), np.full((2, len(codes)), -1, dtype=np.float32)
    merge_codes(np.tile(np.int64(codes), (2, 1)), np.tile(np.float32(weights), (2, 1)), rows, shares)
    assert rows.tolist() == [once, once]
    assert shares.tolist() == np.tile(np.float32(sums), (2, 1)).tolist()


@given(seed=st.integers(0, 1000), k=st.integers(1, 12))
def test_the_best_unseen_are_those_of_a_plain_sort(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    n_items, width = 12, 9
    found = np.stack([rng.permutation(n_items)[:width] for _ in range(3)])
    found[rng.random(found.shape) < 0.2] = -1
    scores = np.round(rng.normal(size=found.shape), 1).astype(np.float32)
    seen = [rng.permutation(n_items)[: rng.integers(0, 6)] for _ in range(4)]
    indptr = offsets([len(items) for items in seen])
    item_ids, values = np.full((4, k), 77, dtype=np.int32), np.full((4, k), 77, dtype=np.float32)
    rows = np.array([2, 0, 3])
    best_unseen(found, scores, indptr, np.concatenate(seen).astype(np.int32), rows, item_ids, values)
    for number, row in enumerate(rows):
        pairs = [(-score, item) for item, score in zip(found[number], scores[number], strict=True) if item >= 0 and item not in seen[row]]
        assert_row(item_ids[row], values[row], pairs)
    assert (item_ids[1] == 77).all()
