from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sparcode.index.ordering import ascending_bits, posting_keys, postings_of_keys, scores_of_bits

floats = arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32, allow_nan=False))


@given(floats)
def test_bits_sort_as_the_numbers_do_and_lead_back(scores: np.ndarray) -> None:
    bits = ascending_bits(scores)
    np.testing.assert_array_equal(bits[:, None] < bits, scores[:, None] < scores)
    np.testing.assert_array_equal(scores_of_bits(bits), scores)


@given(floats, st.integers(0, 2**32 - 1))
def test_keys_sort_by_score_then_item(scores: np.ndarray, seed: int) -> None:
    items = np.random.default_rng(seed).integers(0, 2**31, size=len(scores))
    item_ids, values = postings_of_keys(np.sort(posting_keys(scores, items)))
    expected = sorted(zip((-scores).tolist(), items.tolist(), strict=True))
    assert list(zip((-values).tolist(), item_ids.tolist(), strict=True)) == expected
