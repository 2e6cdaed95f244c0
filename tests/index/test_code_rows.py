from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.index.code_rows import find_rows, first_bad

CODES = st.lists(st.integers(0, 30), max_size=20)


@given(stored=CODES, asked=CODES)
def test_codes_are_found_where_they_stand(stored: list[int], asked: list[int]) -> None:
    ordered = sorted(set(stored))
    rows = np.empty(len(asked), dtype=np.int64)
    missing = find_rows(np.array(ordered, dtype=np.int64), np.array(asked, dtype=np.int64), rows)
    expected = [ordered.index(code) if code in ordered else -1 for code in asked]
    assert rows.tolist() == expected
    assert missing == expected.count(-1)


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
