from __future__ import annotations

import numpy as np
import pytest

from sparcode.data.interactions import Histories
from sparcode.retrieval import exact
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from tests.fakes import VectorTable
from tests.retrieval.tables import N_ITEMS, colours, random_model, some_queries


def test_blocks_of_queries_join_up(monkeypatch: pytest.MonkeyPatch) -> None:
    queries = some_queries(11)
    for scorer in (VectorTable(colours(N_ITEMS)), SparseDirectScorer(random_model(), 0.1)):
        whole = ExactRetriever(scorer).retrieve(queries, 5)
        with monkeypatch.context() as patch:
            patch.setattr(exact, "MAX_DENSE_SCORES", 3 * N_ITEMS)
            np.testing.assert_array_equal(ExactRetriever(scorer).retrieve(queries, 5).item_ids, whole.item_ids)


def test_short_queries_do_not_wait_for_a_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(n_codes=70, n_items=70)
    lists = [[1], list(range(70)), [2, 3], [], [4]]
    monkeypatch.setattr(exact, "MAX_DENSE_SCORES", 2 * exact.SLOTS * 70)
    scores = SparseDirectScorer(model, -10.0).score(Histories.from_lists(lists, 70))
    added = np.array(
        [np.sum([model.table[code] + np.float32(10) for code in row], axis=0) if row else np.full(70, -np.inf) for row in lists]
    )
    np.testing.assert_allclose(scores, added, rtol=1e-5)
    assert max(map(len, model.scored)) <= exact.SLOTS + 1
    assert sum(map(len, model.scored)) <= 70 + 4


def test_bytes_are_known_or_it_says_so() -> None:
    with pytest.raises(ValueError, match="VectorTable does not report its bytes"):
        ExactRetriever(VectorTable(colours(N_ITEMS))).size_bytes()
