from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparcode.metrics.codes import dead_share, perplexity, usage_counts


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=30))
def test_they_equal_plain_loops(indices: list[list[int]]) -> None:
    codes = np.array([sum(index * 4**m for m, index in enumerate(row)) for row in indices])
    counts = [Counter(row[m] for row in indices) for m in range(3)]
    assert usage_counts(codes, 3, 4).tolist() == [[count[k] for k in range(4)] for count in counts]
    entropies = [-sum(n / len(codes) * math.log(n / len(codes)) for n in count.values()) for count in counts]
    np.testing.assert_allclose(perplexity(codes, 3, 4), np.exp(entropies))
    assert dead_share(codes, 3, 4).tolist() == [1 - len(count) / 4 for count in counts]


def test_even_use_has_the_perplexity_of_the_codebook() -> None:
    np.testing.assert_allclose(perplexity(np.arange(25).reshape(5, 5), 2, 5), [5, 5])
    np.testing.assert_allclose(perplexity(np.arange(5), 2, 5), [5, 1])


def test_no_codes() -> None:
    nothing = np.zeros((0, 4), dtype=np.int64)
    assert np.isnan(perplexity(nothing, 2, 5)).all()
    assert dead_share(nothing, 2, 5).tolist() == [1, 1]


def test_more_codes_than_fit_in_64_bits() -> None:
    assert usage_counts(np.array([2**62]), 8, 1024).sum(axis=1).tolist() == [1] * 8


@pytest.mark.parametrize(
    ("codes", "shape", "message"),
    [([25], (2, 5), r"\[0, 25\); got 25"), ([-1], (2, 5), "got -1"), ([0.5], (2, 5), "integers"), ([0], (0, 5), "at least 1; got 0 and 5")],
)
def test_bad_input_is_refused(codes: list, shape: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        usage_counts(np.array(codes), *shape)
