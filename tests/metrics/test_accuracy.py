from __future__ import annotations

import numpy as np
import pytest

from sparcode.config import SplitConfig
from sparcode.data.evaluation_protocol import COLD_START, PROTOCOLS, STRONG
from sparcode.data.interactions import Histories
from sparcode.metrics.accuracy import accuracy_by_query, recall_by_query

# Hits at places 1 and 3 of two targets; no target; one target missed.
TARGETS = Histories.from_lists([[0, 2], [], [4]], 60)
RANKED = np.tile(np.arange(50, dtype=np.int32), (3, 1))
RANKED[2] = np.arange(5, 55)
NDCG = (1 + 1 / np.log2(4)) / (1 + 1 / np.log2(3))


def test_usually_precision_divides_by_k_and_users_without_targets_are_left_out() -> None:
    found = accuracy_by_query(RANKED, TARGETS, 50)
    np.testing.assert_allclose(found, [[1, np.nan, 0], [NDCG, np.nan, 0], [2 / 50, np.nan, 0]], rtol=1e-12)
    assert found.means() == pytest.approx((1 / 2, NDCG / 2, 1 / 50))


def test_cold_start_counts_as_its_authors_do() -> None:
    found = accuracy_by_query(RANKED, TARGETS, 50, COLD_START)
    np.testing.assert_allclose(found, [[1, 0, 0], [NDCG, 0, 0], [1, 0, 0]], rtol=1e-12)
    assert found.means() == pytest.approx((1 / 3, NDCG / 3, 1 / 3))


@pytest.mark.parametrize("protocol", [STRONG, COLD_START])
def test_the_recall_alone_is_that_of_all_figures(protocol: object) -> None:
    np.testing.assert_array_equal(recall_by_query(RANKED, TARGETS, 50, protocol), accuracy_by_query(RANKED, TARGETS, 50, protocol).recall)


def test_every_protocol_of_the_settings_is_known() -> None:
    assert set(PROTOCOLS) == set(SplitConfig.model_fields["protocol"].annotation.__args__)
    assert {name: protocol.default_k for name, protocol in PROTOCOLS.items()} == {"strong": 50, "fixed-split": 20, "cold-start": 50}


def test_models_that_score_histories_are_left_out_where_queries_have_none() -> None:
    assert STRONG.without_history == ""
    assert "the test queries have none" in COLD_START.without_history
    histories = Histories.from_lists([[1, 2], [3]], 5)
    assert STRONG.queries_of(histories) is histories
    assert COLD_START.queries_of(histories).lengths.tolist() == [0, 0]
