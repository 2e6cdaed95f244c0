from __future__ import annotations

import numpy as np
import pytest

from benchmarks.csr_search import CsrRetriever
from sparcode.baselines.ease import EASE
from sparcode.data.interactions import Histories
from sparcode.index.block_index import block_index
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.retrieval.contract import Retriever
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel, VectorTable, checkerboard, checkerboard_queries
from tests.retrieval.tables import N_ITEMS, colours, some_queries, sparse

BOARD = TableModel(checkerboard(N_ITEMS))
# Two codes only: vectors of the others lie nearer the one of their own colour.
NEAREST = TableModel(checkerboard(N_ITEMS), (np.arange(N_ITEMS) % 2)[:, None].astype(np.float32))
IVFPQ = {"n_lists": 2, "n_probe": 2, "n_bits": 4, "n_subvectors": 2}


def board_index() -> InvertedIndex:
    return build_index(BOARD, np.arange(N_ITEMS), 0.5, 5)


def approximate(kind: str, **params: int | str) -> FaissRetriever:
    return FaissRetriever(VectorTable(colours(N_ITEMS)), kind, params)


RETRIEVERS = {
    "sparse": lambda: SparseRetriever(BOARD, board_index(), 0.5),
    "sparse-nearest": lambda: sparse(NEAREST, 0.5, codes=np.array([0, 1]), unseen="nearest"),
    "sparse-blocked": lambda: SparseRetriever(BOARD, block_index(board_index(), 0.5, shift=3), 0.5),
    "sparse-quantized": lambda: SparseRetriever(BOARD, block_index(board_index(), 0.5, "uint16", shift=3), 0.5),
    "csr": lambda: CsrRetriever(BOARD, board_index(), 0.5),
    "exact": lambda: ExactRetriever(SparseDirectScorer(BOARD, 0.5), {"table": BOARD.table.nbytes}),
    "exact-ease": lambda: ExactRetriever(EASE(1.0).fit(checkerboard_queries(N_ITEMS)[0])),
    "flat": lambda: approximate("flat"),
    "hnsw": lambda: approximate("hnsw"),
    "hnsw-raw": lambda: approximate("hnsw", reduction="none"),
    "hnsw-selector": lambda: approximate("hnsw", exclude="selector"),
    "ivfflat": lambda: approximate("ivfflat", n_lists=2, n_probe=2),
    "ivfpq": lambda: approximate("ivfpq", **IVFPQ),
    "ivfpq-ranked-again": lambda: approximate("ivfpq", **IVFPQ, k_factor=8),
}


@pytest.fixture(scope="module", params=RETRIEVERS)
def retriever(request: pytest.FixtureRequest) -> Retriever:
    return RETRIEVERS[request.param]()


def test_the_withheld_item_comes_first(retriever: Retriever) -> None:
    queries, withheld = checkerboard_queries(N_ITEMS)
    assert retriever.retrieve(queries, 3).item_ids[:, 0].tolist() == withheld.tolist()


def test_results_have_the_agreed_form(retriever: Retriever) -> None:
    queries = some_queries(9)
    item_ids, scores = retriever.retrieve(queries, N_ITEMS + 7)
    assert item_ids.shape == scores.shape == (9, N_ITEMS + 7)
    assert (item_ids.dtype, scores.dtype) == (np.int32, np.float32)
    padding = item_ids == -1
    assert padding[:, N_ITEMS:].all()
    np.testing.assert_array_equal(padding, np.isneginf(scores))
    for row in range(9):
        found, values = item_ids[row][~padding[row]], scores[row][~padding[row]]
        assert len(set(found.tolist())) == len(found)
        assert not set(found.tolist()) & set(queries[row].tolist())
        assert list(zip(-values, found, strict=True)) == sorted(zip(-values, found, strict=True))
        assert not padding[row][: len(found)].any()


def test_one_query_is_answered_as_in_a_batch(retriever: Retriever) -> None:
    queries = some_queries(70)
    batch = retriever.retrieve(queries, 6)
    for row in range(len(queries)):
        alone = retriever.retrieve(queries.take(np.array([row])), 6)
        np.testing.assert_array_equal(alone.item_ids[0], batch.item_ids[row])
        # A matrix product may round a row differently alone than in a batch.
        np.testing.assert_allclose(alone.scores[0], batch.scores[row], rtol=1e-5)


def test_few_items_are_the_start_of_many(retriever: Retriever) -> None:
    queries, _ = checkerboard_queries(N_ITEMS)
    np.testing.assert_array_equal(retriever.retrieve(queries, 1).item_ids[:, 0], retriever.retrieve(queries, 8).item_ids[:, 0])


def test_empty_histories_and_no_queries_are_answered(retriever: Retriever) -> None:
    assert retriever.retrieve(Histories.from_lists([[], []], N_ITEMS), 4).item_ids.shape == (2, 4)
    assert retriever.retrieve(Histories.from_lists([], N_ITEMS), 4).item_ids.shape == (0, 4)


def test_a_query_that_has_everything_gets_nothing(retriever: Retriever) -> None:
    item_ids, scores = retriever.retrieve(Histories.from_lists([list(range(N_ITEMS))], N_ITEMS), 3)
    assert item_ids.tolist() == [[-1, -1, -1]]
    assert np.isneginf(scores).all()


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_a_k_below_one_is_refused(retriever: Retriever, k: object) -> None:
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        retriever.retrieve(some_queries(2), k)


def test_bytes_are_reported_by_part(retriever: Retriever) -> None:
    sizes = retriever.size_bytes()
    assert sizes
    assert all(isinstance(size, int) and size > 0 for size in sizes.values())


HALF = np.random.default_rng(2).choice(N_ITEMS, N_ITEMS // 2, replace=False)


@pytest.mark.parametrize("k", [1, 5, N_ITEMS])
@pytest.mark.parametrize("sets", [{}, {"allow": HALF}, {"deny": HALF}, {"allow": HALF[:3]}, {"allow": []}])
def test_a_filter_leaves_the_best_of_what_it_allows(retriever: Retriever, sets: dict[str, np.ndarray], k: int) -> None:
    queries, only = some_queries(30, with_empty=False), ItemFilter(N_ITEMS, **sets)
    allowed = set(sets.get("allow", range(N_ITEMS))) - set(sets.get("deny", []))
    found = retriever.retrieve(queries, k, only)
    for row, everything in enumerate(retriever.retrieve(queries, N_ITEMS).item_ids.tolist()):
        best = [item for item in everything if item in allowed][:k]
        assert found.item_ids[row].tolist() == best + [-1] * (k - len(best))
        assert np.isneginf(found.scores[row][len(best) :]).all()


def test_a_filter_of_another_catalogue_is_refused(retriever: Retriever) -> None:
    with pytest.raises(ValueError, match="filter is over 41 items; the search is over 40"):
        retriever.retrieve(some_queries(2), 3, ItemFilter(N_ITEMS + 1))
