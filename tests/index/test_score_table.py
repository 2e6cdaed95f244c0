from __future__ import annotations

import numpy as np
import pytest

from sparcode.index import score_table
from sparcode.index.index_builder import build_index
from sparcode.index.score_table import distinct_code_list, iter_score_blocks
from tests.fakes import TableModel

TABLE = np.arange(35, dtype=np.float32).reshape(7, 5)


@pytest.mark.parametrize(("block_codes", "sizes"), [(1, [1] * 4), (3, [3, 1]), (100, [4])])
def test_blocks_join_to_the_table(block_codes: int, sizes: list[int]) -> None:
    blocks = list(iter_score_blocks(TableModel(TABLE), np.array([6, 0, 2, 3]), block_codes))
    assert [len(codes) for codes, _ in blocks] == sizes
    assert np.concatenate([codes for codes, _ in blocks]).tolist() == [6, 0, 2, 3]
    np.testing.assert_array_equal(np.concatenate([scores for _, scores in blocks]), TABLE[[6, 0, 2, 3]])


def test_a_large_catalogue_makes_blocks_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_table, "MAX_BLOCK_SCORES", 10)
    assert [len(codes) for codes, _ in iter_score_blocks(TableModel(TABLE), np.arange(7), 100)] == [2, 2, 2, 1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    table = TABLE.copy()
    table[3, 1] = bad
    for score_all in (lambda *asked: list(iter_score_blocks(*asked)), lambda model, codes, step: build_index(model, codes, 0.0, step)):
        with pytest.raises(ValueError, match="NaN or"):
            score_all(TableModel(table), np.arange(7), 2)


def test_scores_of_another_shape_are_refused() -> None:
    model = TableModel(TABLE)
    model.n_items = 6
    with pytest.raises(ValueError, match=r"\(2, 6\) scores for 2 codes; got \(2, 5\)"):
        list(iter_score_blocks(model, np.arange(2), 2))


def test_blocks_hold_at_least_one_code() -> None:
    with pytest.raises(ValueError, match="block_codes must be at least 1; got 0"):
        list(iter_score_blocks(TableModel(TABLE), np.arange(2), 0))


def test_codes_are_made_distinct_and_checked() -> None:
    assert distinct_code_list(np.array([[3, 1], [3, 0]], dtype=np.int32)).tolist() == [0, 1, 3]
    assert distinct_code_list([]).dtype == np.int64
    with pytest.raises(ValueError, match="not be negative; got -2"):
        distinct_code_list([4, -2])
    with pytest.raises(ValueError, match="integers; got dtype float64"):
        distinct_code_list([0.5])
