from __future__ import annotations

import faiss
import numpy as np
import pytest

from sparcode.index import kernels
from sparcode.retrieval.exact import ExactRetriever
from sparcode.retrieval.faiss import FaissRetriever, search_width
from sparcode.retrieval.filters import ItemFilter
from tests.fakes import VectorTable
from tests.retrieval.tables import N_ITEMS, colours, found_share, some_queries


def test_faiss_flat_equals_exact_search() -> None:
    vectors = VectorTable(np.random.default_rng(3).normal(size=(300, 8)))
    queries = some_queries(50, n_items=300, with_empty=False)
    flat, exact = FaissRetriever(vectors).retrieve(queries, 20), ExactRetriever(vectors).retrieve(queries, 20)
    np.testing.assert_array_equal(flat.item_ids, exact.item_ids)
    np.testing.assert_allclose(flat.scores, exact.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("kind", "lowest"), [("hnsw", 0.95), ("ivfflat", 0.8), ("ivfpq", 0.5)])
def test_approximate_search_finds_most_and_repeats_itself(kind: str, lowest: float) -> None:
    vectors = VectorTable(np.random.default_rng(4).normal(size=(600, 8)))
    queries = some_queries(40, n_items=600, with_empty=False)
    found = FaissRetriever(vectors, kind).retrieve(queries, 20).item_ids
    exact = ExactRetriever(vectors).retrieve(queries, 20).item_ids
    assert found_share(found, exact) >= lowest
    np.testing.assert_array_equal(found, FaissRetriever(vectors, kind).retrieve(queries, 20).item_ids)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivfflat", "ivfpq"])
def test_faiss_bytes_are_those_of_its_arrays(kind: str) -> None:
    retriever = FaissRetriever(VectorTable(np.random.default_rng(5).normal(size=(2000, 16))), kind)
    written = faiss.serialize_index(retriever._index.index).nbytes
    assert sum(retriever.size_bytes().values()) == pytest.approx(written, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("annoy", {}, "one of flat, hnsw, ivfflat, ivfpq; got 'annoy'"),
        ("hnsw", {"ef": 3}, "ef"),
        ("hnsw", {"n_links": 0}, "n_links"),
        ("hnsw", {"reduction": "cosine"}, "'l2' or 'none'"),
        ("ivfflat", {"n_lists": 41}, "at most the number of items, 40; got 41"),
        ("ivfflat", {"n_probe": 0}, "n_probe"),
        ("ivfpq", {"n_lists": 41}, "at most the number of items, 40; got 41"),
        ("ivfpq", {"n_subvectors": 3}, "divide the 4 dimensions"),
        ("ivfpq", {"n_bits": 8}, "needs at least 256 items"),
    ],
)
def test_faiss_settings_are_checked(kind: str, params: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaissRetriever(VectorTable(colours(N_ITEMS)), kind, params)


@pytest.mark.parametrize("vectors", [np.zeros((0, 4)), np.zeros(4), np.full((4, 2), np.nan)])
def test_faiss_wants_finite_vectors(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="item vectors must be"):
        FaissRetriever(VectorTable(vectors))


def uneven_vectors(n_items: int = 3000, seed: int = 6) -> VectorTable:
    """Item vectors whose norms differ by a factor of about a hundred, as popular and rare items' do."""
    rng = np.random.default_rng(seed)
    return VectorTable(rng.normal(size=(n_items, 8)) * rng.lognormal(sigma=1.0, size=(n_items, 1)))


def test_hnsw_by_distance_finds_the_largest_inner_products_and_returns_them_as_scores() -> None:
    vectors = uneven_vectors()
    queries = some_queries(60, n_items=3000, with_empty=False)
    found, exact = FaissRetriever(vectors, "hnsw").retrieve(queries, 20), ExactRetriever(vectors).retrieve(queries, 20)
    assert found_share(found.item_ids, exact.item_ids) > 0.9
    products = np.einsum("bd,bkd->bk", vectors.query_vectors(queries), vectors.item_vectors()[found.item_ids])
    np.testing.assert_allclose(found.scores, products, rtol=1e-4, atol=1e-2 * products.std())


def test_all_cells_probed_ivf_flat_equals_flat() -> None:
    vectors, queries = uneven_vectors(600), some_queries(40, n_items=600, with_empty=False)
    everything = FaissRetriever(vectors, "ivfflat", {"n_lists": 10, "n_probe": 10}).retrieve(queries, 20)
    np.testing.assert_array_equal(everything.item_ids, FaissRetriever(vectors).retrieve(queries, 20).item_ids)


def test_a_built_index_can_be_searched_more_and_less_closely() -> None:
    vectors, queries = uneven_vectors(600), some_queries(40, n_items=600)
    close = FaissRetriever(vectors, "ivfflat", {"n_lists": 20, "n_probe": 20})
    loose = close.with_params({"n_probe": 1})
    expected = FaissRetriever(vectors, "ivfflat", {"n_lists": 20, "n_probe": 1}).retrieve(queries, 20)
    np.testing.assert_array_equal(loose.retrieve(queries, 20).item_ids, expected.item_ids)
    assert close.config.n_probe == 20


def test_hnsw_passes_over_seen_items_or_asks_for_more_with_the_same_result() -> None:
    vectors, queries = uneven_vectors(), some_queries(40, n_items=3000)
    close = FaissRetriever(vectors, "hnsw", {"ef_search": 2000})
    passing = close.with_params({"exclude": "selector"})
    found, passed = close.retrieve(queries, 20).item_ids, passing.retrieve(queries, 20).item_ids
    assert (found == passed).mean() > 0.98
    for row, items in enumerate(passed):
        alone = passing.retrieve(queries.take(np.array([row])), 20).item_ids[0]
        np.testing.assert_array_equal(alone, items)
        seen = queries.items[queries.indptr[row] : queries.indptr[row + 1]]
        assert not np.isin(items, seen).any()


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("hnsw", {"ef_search": 1000}),
        ("hnsw", {"ef_search": 1000, "exclude": "selector"}),
        ("ivfflat", {"n_lists": 20, "n_probe": 20}),
    ],
)
def test_a_filter_is_applied_within_faiss(kind: str, params: dict[str, int | str]) -> None:
    vectors, queries = uneven_vectors(), some_queries(20, n_items=3000, with_empty=False)
    only = ItemFilter(3000, allow=np.random.default_rng(7).choice(3000, 300, replace=False))
    # Asking for more and leaving out what is not allowed would need ten times as many.
    found = FaissRetriever(vectors, kind, params).retrieve(queries, 20, only).item_ids
    exact = ExactRetriever(vectors).retrieve(queries, 20, only).item_ids
    assert (found >= 0).all()
    assert found_share(found, exact) > 0.9


def test_a_search_uses_the_code_compiled_by_the_warm_up() -> None:
    kernels.warm_up()
    n_compiled = len(kernels.best_unseen.signatures)
    FaissRetriever(VectorTable(colours(N_ITEMS))).retrieve(some_queries(3), 5, ItemFilter(N_ITEMS, deny=[1]))
    assert len(kernels.best_unseen.signatures) == n_compiled


def test_codes_ranked_again_by_whole_vectors_find_more() -> None:
    vectors, queries = uneven_vectors(), some_queries(40, n_items=3000)
    exact = FaissRetriever(vectors).retrieve(queries, 20).item_ids
    settings = {"n_lists": 10, "n_probe": 10, "n_subvectors": 2}
    by_codes = FaissRetriever(vectors, "ivfpq", settings)
    again = FaissRetriever(vectors, "ivfpq", settings | {"k_factor": 8})
    shares = [found_share(retriever.retrieve(queries, 20).item_ids, exact) for retriever in (by_codes, again)]
    assert shares[0] < shares[1]
    assert sum(again.size_bytes().values()) == pytest.approx(faiss.serialize_index(again._index.index).nbytes, rel=0.02)
    with pytest.raises(ValueError, match="k_factor cannot be 0"):
        again.with_params({"k_factor": 0})


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("flat", {"n_probe": 1}, "n_probe cannot be changed in a built flat index; allowed: nothing"),
        ("hnsw", {"n_links": 4}, "n_links cannot be changed in a built hnsw index; allowed: ef_search"),
        ("hnsw", {"ef_search": 0}, "ef_search"),
    ],
)
def test_what_a_built_index_cannot_change_is_refused(kind: str, params: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FaissRetriever(VectorTable(colours(N_ITEMS)), kind).with_params(params)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 50, 64, 65, 180, 1000, 100_001])
def test_search_widths_are_near_what_is_needed_and_few(n: int) -> None:
    width = search_width(n)
    assert n <= width <= n * 1.25
    assert search_width(width) == width
