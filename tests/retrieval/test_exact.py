from __future__ import annotations

import numpy as np
import pytest

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


def test_bytes_are_known_or_it_says_so() -> None:
    with pytest.raises(ValueError, match="VectorTable does not report its bytes"):
        ExactRetriever(VectorTable(colours(N_ITEMS))).size_bytes()
