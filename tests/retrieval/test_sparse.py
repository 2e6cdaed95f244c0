from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sparcode.data.interactions import Histories
from sparcode.index import build_kernels, kernels
from sparcode.index.block_index import block_index
from sparcode.index.index_builder import build_index
from sparcode.retrieval import searchers
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.filters import ItemFilter
from sparcode.retrieval.sparse import SparseRetriever
from tests.fakes import TableModel, VectorTable
from tests.retrieval.tables import N_ITEMS, assert_same, colours, random_model, some_queries, sparse


@pytest.mark.parametrize("threshold", [-10.0, -0.5, 0.0, 0.7, 10.0])
def test_the_index_equals_direct_scoring_bit_for_bit(threshold: float) -> None:
    model, queries = random_model(), some_queries(80)
    found = sparse(model, threshold).retrieve(queries, 50)
    expected = ExactRetriever(SparseDirectScorer(model, threshold)).retrieve(queries, 50)
    assert_same(found, expected)


def test_queries_are_encoded_in_blocks_that_join_up(monkeypatch: pytest.MonkeyPatch) -> None:
    model, queries = random_model(), some_queries(23)
    whole, encode, sizes = sparse(model).retrieve(queries, 5), model.encode, []
    monkeypatch.setattr("sparcode.retrieval.sparse.QUERY_BLOCK", 7)
    monkeypatch.setattr(model, "encode", lambda block: (sizes.append(len(block)), encode(block))[1])
    assert_same(sparse(model).retrieve(queries, 5), whole)
    assert sizes == [7, 7, 7, 2]


def test_a_catalogue_without_items_returns_nothing() -> None:
    found = sparse(TableModel(np.zeros((2, 0)))).retrieve_codes(np.array([[0, 1]]), np.ones((1, 2)), None, 2)
    assert found.item_ids.tolist() == [[-1, -1]]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(n_threads: int) -> None:
    model, queries = random_model(), some_queries(searchers.MIN_ROWS_PER_THREAD * 4 + 3)
    one = sparse(model, 0.2, n_threads=1).retrieve(queries, 7)
    many = sparse(model, 0.2, n_threads=n_threads).retrieve(queries, 7)
    assert_same(many, one)


def test_callers_in_several_threads_get_their_own_answers() -> None:
    model = random_model(n_codes=30)
    shared, alone = sparse(model, 0.1, codes=np.arange(4)), sparse(model, 0.1, n_threads=1)
    batches = [some_queries(20, seed=seed) for seed in range(24)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda queries: shared.retrieve(queries, 9), batches))
    for queries, result in zip(batches, found, strict=True):
        np.testing.assert_array_equal(result.item_ids, alone.retrieve(queries, 9).item_ids)


def test_moving_the_threshold_equals_building_at_it() -> None:
    model, queries = random_model(), some_queries(25)
    codes, weights = model.encode(queries)
    low = sparse(model, -0.5, floor=-0.5)
    for threshold in (-0.5, 0.0, 0.9):
        moved = low.with_threshold(threshold).retrieve_codes(codes, weights, queries, 10)
        built = sparse(model, threshold, floor=threshold).retrieve(queries, 10)
        assert_same(moved, built)
    assert low.with_threshold(0.9).index is low.index
    assert sum(low.with_threshold(0.9).size_bytes().values()) < sum(low.size_bytes().values())


@pytest.mark.parametrize("threshold", [np.nan, np.inf, -np.inf])
def test_a_threshold_must_be_finite(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold must be a finite number"):
        sparse(random_model(), threshold)


def test_a_threshold_below_the_floor_names_both() -> None:
    with pytest.raises(ValueError, match=r"floor 0\.5; got 0\.25"):
        sparse(random_model(), 0.5, floor=0.5).with_threshold(0.25)


def test_unseen_codes_are_computed_once_kept_and_counted() -> None:
    model, queries = random_model(), some_queries(40)
    stored = np.array([1, 4, 7])
    retriever = sparse(model, 0.1, codes=stored)
    found = retriever.retrieve(queries, 6)
    np.testing.assert_array_equal(found.item_ids, sparse(model, 0.1).retrieve(queries, 6).item_ids)
    codes, _ = model.encode(queries)
    unseen = ~np.isin(codes, stored)
    assert retriever.unseen_codes == len(np.unique(codes[unseen]))
    assert retriever.index.codes.tolist() == sorted({*stored.tolist(), *codes[unseen].tolist()})
    moved = retriever.with_threshold(0.3)
    assert moved.unseen_codes == 0
    np.testing.assert_array_equal(moved.retrieve(queries, 6).item_ids, sparse(model, 0.3).retrieve(queries, 6).item_ids)
    assert moved.unseen_codes == retriever.unseen_codes
    assert sum(retriever.size_bytes().values()) > sum(sparse(model, 0.1, codes=stored).size_bytes().values())


def test_kept_lists_are_not_scored_again() -> None:
    model, queries = random_model(), some_queries(40)
    retriever = sparse(model, 0.1, codes=np.array([1]))
    retriever.retrieve(queries, 6)
    model.scored.clear()
    retriever.retrieve(queries, 6)
    retriever.with_threshold(0.4).retrieve(queries, 6)
    assert model.scored == []


def test_unseen_codes_go_to_the_nearest_stored_one() -> None:
    model = random_model()
    stored = np.array([2, 5, 9])
    retriever = sparse(model, 0.1, codes=stored, unseen="nearest")
    codes = np.arange(12)[:, None]
    found = retriever.retrieve_codes(codes, np.ones((12, 1)), None, 5)
    distances = np.linalg.norm(model.vectors[:, None] - model.vectors[stored], axis=2)
    stand_ins = stored[np.argmin(distances, axis=1)]
    expected = sparse(model, 0.1).retrieve_codes(stand_ins[:, None], np.ones((12, 1)), None, 5)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    assert retriever.unseen_codes == 9
    assert retriever.index.n_lists == 3


def test_nearest_needs_a_list_and_a_known_rule() -> None:
    with pytest.raises(ValueError, match="at least one list"):
        sparse(random_model(), codes=np.zeros(0, dtype=np.int64), unseen="nearest")
    with pytest.raises(ValueError, match="got 'drop'"):
        sparse(random_model(), unseen="drop")


def test_a_model_with_another_catalogue_is_refused() -> None:
    index = build_index(random_model(), np.arange(3), 0.0, 2)
    with pytest.raises(ValueError, match="40 items; the model has 41"):
        SparseRetriever(random_model(n_items=41), index, 0.0)


@pytest.mark.parametrize(
    ("codes", "weights", "message"),
    [
        (np.zeros((2, 3), dtype=int), np.zeros((2, 2)), "one shape"),
        (np.zeros(3, dtype=int), np.zeros(3), "one shape"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "integers"),
        (np.full((1, 2), -1), np.zeros((1, 2)), "not be negative"),
        (np.zeros((1, 2), dtype=int), np.array([[1, -0.5]]), "finite and not negative"),
        (np.zeros((1, 2), dtype=int), np.array([[1, np.nan]]), "finite and not negative"),
    ],
)
def test_bad_codes_and_weights_are_refused(codes: np.ndarray, weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sparse(random_model()).retrieve_codes(codes, weights, None, 3)


def test_seen_items_must_fit_the_queries() -> None:
    retriever = sparse(random_model())
    with pytest.raises(ValueError, match="one row per query, 1; got 2"):
        retriever.retrieve_codes(np.zeros((1, 1), dtype=int), np.ones((1, 1)), some_queries(2), 3)
    with pytest.raises(ValueError, match="catalogue of 9 items"):
        retriever.retrieve_codes(np.zeros((1, 1), dtype=int), np.ones((1, 1)), some_queries(1, n_items=9), 3)


@pytest.mark.parametrize("unseen", ["compute", "nearest"])
def test_an_explanation_adds_up_to_the_score(unseen: str) -> None:
    model, threshold = random_model(), 0.2
    retriever = sparse(model, threshold, floor=0.0, codes=np.array([0, 3, 6]), unseen=unseen)
    query = Histories.from_lists([[3, 15, 7, 20, 27]], N_ITEMS)  # codes 3, 3, 7, 8, 3, of which each counts once
    found = retriever.retrieve(query, N_ITEMS)
    n_found = int((found.item_ids[0] >= 0).sum())
    assert n_found > 5
    for item, score in zip(found.item_ids[0][:n_found], found.scores[0], strict=False):
        explanation = retriever.explain(query, int(item))
        total = np.float32(0)
        for part in explanation.contributions:
            total += np.float32(part.contribution)
            raw = model.table[part.served_by, item]
            assert part.raw_score == raw if raw > 0 else np.isnan(part.raw_score)
        assert float(total) == explanation.score == float(score)
        assert not explanation.is_seen
        assert [part.code for part in explanation.contributions] == [3, 7, 8]
    assert retriever.explain(query, 3).is_seen
    assert all(
        (part.served_by == part.code) == (unseen == "compute" or part.code == 3) for part in retriever.explain(query, 0).contributions
    )


def test_an_item_in_no_list_scores_zero() -> None:
    explanation = sparse(random_model(), 50.0).explain(Histories.from_lists([[1, 2]], N_ITEMS), 5)
    assert explanation.score == 0
    assert [part.contribution for part in explanation.contributions] == [0, 0]


def test_an_explanation_is_of_one_query_and_a_known_item() -> None:
    retriever = sparse(random_model())
    with pytest.raises(ValueError, match="one row; got 2"):
        retriever.explain(some_queries(2), 0)
    with pytest.raises(ValueError, match=r"\[0, 40\); got 40"):
        retriever.explain(some_queries(1), N_ITEMS)


def test_every_call_uses_the_code_compiled_by_the_warm_up() -> None:
    kernels.warm_up()
    model = random_model()
    sparse(model, 0.1, codes=np.arange(3)).retrieve(some_queries(70), 5)
    ExactRetriever(VectorTable(colours(N_ITEMS))).retrieve(some_queries(3), 5)
    frozen = some_queries(3)
    frozen.items.flags.writeable = False
    sparse(model).retrieve(frozen, 5)
    build_kernels.warm_up()
    for score_type in ("float32", "uint16"):
        blocks = block_index(build_index(model, np.arange(5), 0.0, 5), 0.0, score_type)
        blocks.check_postings()
        SparseRetriever(model, blocks, 0.1).retrieve(some_queries(70), 5, ItemFilter(N_ITEMS, deny=[1]))
    for kernel in (kernels.search_lists, kernels.dense_top_k, kernels.list_ends):
        assert len(kernel.signatures) == 1
    # One for each type of scores.
    for kernel in (kernels.search_blocks, kernels.block_list, build_kernels.first_wrong_list):
        assert len(kernel.signatures) == 2
