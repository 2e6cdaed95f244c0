from __future__ import annotations

import numpy as np
import pytest

from benchmarks.csr_search import CsrRetriever, list_matrix
from sparcode.index.index_builder import build_index
from tests.fakes import TableModel
from tests.retrieval.tables import random_model, some_queries, sparse


def csr(model: TableModel, threshold: float = 0.0, codes: np.ndarray | None = None, **options: object) -> CsrRetriever:
    codes = np.arange(len(model.table)) if codes is None else codes
    return CsrRetriever(model, build_index(model, codes, -np.inf, block_codes=5), threshold, **options)


@pytest.mark.parametrize("threshold", [-10.0, -0.5, 0.7, 10.0])
@pytest.mark.parametrize("codes", [None, np.array([0, 3, 4])])
def test_the_sparse_product_finds_what_the_index_finds(threshold: float, codes: np.ndarray | None) -> None:
    model, queries = random_model(), some_queries(80)
    found = csr(model, threshold, codes).retrieve(queries, 50)
    expected = sparse(model, threshold, codes=codes).retrieve(queries, 50)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-5)


def test_the_sparse_product_can_go_to_the_nearest_list() -> None:
    model, queries, codes = random_model(), some_queries(40), np.array([1, 5])
    found = csr(model, 0.1, codes, unseen="nearest").retrieve(queries, 10)
    np.testing.assert_array_equal(found.item_ids, sparse(model, 0.1, codes=codes, unseen="nearest").retrieve(queries, 10).item_ids)


def test_the_list_matrix_is_the_thresholded_table() -> None:
    model = random_model()
    index = build_index(model, np.arange(12), -np.inf, 64)
    np.testing.assert_array_equal(list_matrix(index, 0.3).toarray(), np.maximum(model.table - np.float32(0.3), 0))


@pytest.mark.parametrize("threshold", [np.nan, np.inf])
def test_the_sparse_product_wants_a_finite_threshold(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be a finite number"):
        csr(random_model(), threshold)


def test_the_sparse_product_counts_computed_lists() -> None:
    retriever = csr(random_model(), 0.1, np.array([0, 3]))
    before = sum(retriever.size_bytes().values())
    retriever.retrieve(some_queries(40), 5)
    assert sum(retriever.size_bytes().values()) > before
