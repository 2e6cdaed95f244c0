from __future__ import annotations

import numpy as np
import pytest

from sparcode.index.inverted_index import InvertedIndex
from sparcode.space.ranked import CodeLists, code_lists
from tests.tiny import tiny_index, tiny_model


def lists() -> CodeLists:
    return code_lists(tiny_index(), tiny_model().threshold)


def above() -> np.ndarray:
    """(n_codes, I) max(E - tau, 0) by the model itself."""
    scores = tiny_model().score_codes(tiny_index().codes)
    return np.maximum(scores - np.float32(tiny_model().threshold), 0)


def test_lists_hold_what_the_model_scores_above_tau() -> None:
    np.testing.assert_allclose(lists().added.toarray(), above(), atol=1e-5)
    assert lists().codes.tolist() == tiny_index().codes.tolist()


def test_items_are_ranked_by_the_weighted_mean() -> None:
    codes, weights = tiny_index().codes[[3, 1, 7]], np.array([2.0, 1.0, 5.0])
    items, values = lists().ranked(codes, weights, 12)
    expected = (above()[[3, 1, 7]] * weights[:, None]).sum(0) / 8
    np.testing.assert_allclose(values, np.sort(expected)[::-1][:12], rtol=1e-4)
    np.testing.assert_allclose(expected[items], values, rtol=1e-4)


def test_one_code_ranks_as_its_list_does() -> None:
    index = tiny_index()
    items, _ = lists().ranked(index.codes[[4]], np.array([0.3]), 5)
    assert items.tolist() == index.item_ids[index.indptr[4] : index.indptr[4] + 5].tolist()


def test_codes_without_a_list_add_nothing_but_count() -> None:
    code = int(tiny_index().codes[0])
    alone = lists().ranked(np.array([code]), np.array([1.0]), 3)
    beside = lists().ranked(np.array([code, 10**9]), np.array([1.0, 3.0]), 3)
    assert alone[0].tolist() == beside[0].tolist()
    np.testing.assert_allclose(beside[1], alone[1] / 4)
    assert len(lists().ranked(np.array([10**9]), np.array([1.0]), 3)[0]) == 0


def test_the_strongest_list_of_an_item_is_the_one_with_its_highest_score() -> None:
    scores = above()
    best = scores.max(0)
    found = lists().strongest()
    assert np.array_equal(found < 0, best == 0)
    held = np.flatnonzero(best > 0)
    np.testing.assert_allclose(scores[found[held], held], best[held], atol=1e-5)


def test_equal_scores_go_to_the_lower_code() -> None:
    index = InvertedIndex(np.array([2, 5]), np.array([0, 2, 3]), np.array([0, 1, 0], np.int32), np.array([3, 2, 3], np.float32), 3, -np.inf)
    assert code_lists(index, 1.0).strongest().tolist() == [0, 0, -1]


@pytest.mark.parametrize("first_list_code", [0, 3])
def test_item_lists_are_left_out(first_list_code: int) -> None:
    found = code_lists(tiny_index(), tiny_model().threshold, first_list_code)
    assert found.codes.tolist() == [code for code in tiny_index().codes.tolist() if code < first_list_code]
    assert len(found.ranked(np.array([9]), np.array([1.0]), 3)[0]) == 0
