from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.csr_search import CsrRetriever, list_matrix
from sparcode.baselines.ease import EASE
from sparcode.data.interactions import Histories
from sparcode.index import build_kernels, kernels
from sparcode.index.block_index import block_index
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import Cut, as_served
from sparcode.retrieval import contract as retrieval
from sparcode.retrieval import sparse_search
from sparcode.retrieval.contract import Retriever
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer, sparse_direct_scores
from sparcode.retrieval.faiss import FaissRetriever
from sparcode.retrieval.faiss_search import search_width
from sparcode.retrieval.item_filter import ItemFilter
from sparcode.retrieval.sparse_retriever import SparseRetriever
from sparcode.retrieval.top_k import PADDING_ID
from tests.fakes import TableModel, VectorTable, checkerboard, checkerboard_queries

N_ITEMS = 40
IVFFLAT = {"n_lists": 2, "n_probe": 2}
IVFPQ = {"n_lists": 2, "n_probe": 2, "n_bits": 4, "n_subvectors": 2}


def random_model(n_codes: int = 12, n_items: int = N_ITEMS, seed: int = 0) -> TableModel:
    rng = np.random.default_rng(seed)
    return TableModel(rng.normal(size=(n_codes, n_items)), rng.normal(size=(n_codes, 3)).astype(np.float32))


def sparse(
    model: TableModel, threshold: float = 0.0, floor: float = -np.inf, codes: np.ndarray | None = None, **options: object
) -> SparseRetriever:
    codes = np.arange(len(model.table)) if codes is None else codes
    return SparseRetriever(model, build_index(model, codes, floor, block_codes=5), threshold, **options)


def csr(model: TableModel, threshold: float = 0.0, codes: np.ndarray | None = None, **options: object) -> CsrRetriever:
    codes = np.arange(len(model.table)) if codes is None else codes
    return CsrRetriever(model, build_index(model, codes, -np.inf, block_codes=5), threshold, **options)


def some_queries(n_rows: int, n_items: int = N_ITEMS, seed: int = 1) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.from_lists([rng.choice(n_items, rng.integers(0, 6), replace=False).tolist() for _ in range(n_rows)], n_items)


def colours(n_items: int) -> np.ndarray:
    """Two orthogonal colours, and a little of each item's own so that no two are alike."""
    vectors = np.random.default_rng(0).normal(scale=1e-3, size=(n_items, 4))
    vectors[np.arange(n_items), np.arange(n_items) % 2] += 1
    return vectors.astype(np.float32)


def board_retriever(name: str) -> Retriever:
    queries, _ = checkerboard_queries(N_ITEMS)
    board = TableModel(checkerboard(N_ITEMS))
    match name:
        case "sparse":
            return sparse(board, 0.5)
        case "sparse-nearest":
            # Codes 0 and 1 only: vectors of the others lie nearer the one of their own colour.
            model = TableModel(checkerboard(N_ITEMS), (np.arange(N_ITEMS) % 2)[:, None].astype(np.float32))
            return sparse(model, 0.5, codes=np.array([0, 1]), unseen="nearest")
        case "csr":
            return csr(board, 0.5)
        case "exact":
            return ExactRetriever(SparseDirectScorer(board, 0.5), {"table": board.table.nbytes})
        case "exact-ease":
            return ExactRetriever(EASE(1.0).fit(queries))
        case "hnsw-raw":
            return FaissRetriever(VectorTable(colours(N_ITEMS)), "hnsw", {"reduction": "none"})
        case "ivfflat":
            return FaissRetriever(VectorTable(colours(N_ITEMS)), "ivfflat", IVFFLAT)
        case "ivfpq":
            return FaissRetriever(VectorTable(colours(N_ITEMS)), "ivfpq", IVFPQ)
        case _:
            return FaissRetriever(VectorTable(colours(N_ITEMS)), name)


BOARD_RETRIEVERS = ["sparse", "sparse-nearest", "csr", "exact", "exact-ease", "flat", "hnsw", "hnsw-raw", "ivfflat", "ivfpq"]


@pytest.fixture(scope="module", params=BOARD_RETRIEVERS)
def retriever(request: pytest.FixtureRequest) -> Retriever:
    return board_retriever(request.param)


def test_the_withheld_item_comes_first(retriever: Retriever) -> None:
    queries, withheld = checkerboard_queries(N_ITEMS)
    assert retriever.retrieve(queries, 3).item_ids[:, 0].tolist() == withheld.tolist()


def test_results_have_the_agreed_form(retriever: Retriever) -> None:
    queries = some_queries(9)
    item_ids, scores = retriever.retrieve(queries, N_ITEMS + 7)
    assert item_ids.shape == scores.shape == (9, N_ITEMS + 7)
    assert (item_ids.dtype, scores.dtype) == (np.int32, np.float32)
    padding = item_ids == PADDING_ID
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


@pytest.mark.parametrize("k", [1, 5, N_ITEMS])
def test_all_that_can_be_told_what_to_return_agree(k: int) -> None:
    model, threshold, queries = random_model(), 0.2, some_queries(30)
    index = build_index(model, np.arange(9), threshold, 5)
    retrievers = [
        ExactRetriever(SparseDirectScorer(model, threshold)),
        *(SparseRetriever(model, as_served(index, Cut(threshold), layout), threshold) for layout in ("float32", "blocked", "quantized")),
        CsrRetriever(model, index, threshold),
    ]
    some = np.random.default_rng(2).choice(N_ITEMS, N_ITEMS // 2, replace=False)
    for only in (ItemFilter(N_ITEMS), ItemFilter(N_ITEMS, allow=some), ItemFilter(N_ITEMS, deny=some), ItemFilter(N_ITEMS, allow=[])):
        # The best of all items, without those that may not be returned.
        everything = retrievers[0].retrieve(queries, N_ITEMS).item_ids
        denied = only.denied_of(N_ITEMS)
        kept = [[item for item in row if item >= 0 and not (len(denied) and denied[item])][:k] for row in everything.tolist()]
        for retriever in retrievers:
            found = retriever.retrieve(queries, k, only)
            assert found.item_ids.tolist() == [row + [PADDING_ID] * (k - len(row)) for row in kept]


def test_a_filter_of_another_catalogue_is_refused() -> None:
    model = random_model()
    for retriever in (ExactRetriever(SparseDirectScorer(model, 0.5)), sparse(model), csr(model)):
        with pytest.raises(ValueError, match="filter is over 41 items; the search is over 40"):
            retriever.retrieve(some_queries(2), 3, ItemFilter(N_ITEMS + 1))


@pytest.mark.parametrize("ids", [[-1], [N_ITEMS], [0.5]])
def test_a_filter_wants_items(ids: list) -> None:
    for options in ({"allow": np.array(ids)}, {"deny": np.array(ids)}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must hold"):
            ItemFilter(N_ITEMS, **options)


def test_a_filter_knows_how_many_it_allows() -> None:
    assert len(ItemFilter(9).denied_of(9)) == 0
    assert np.flatnonzero(~ItemFilter(9, allow=[1, 1, 2], deny=[2, 3]).denied_of(9)).tolist() == [1]


@pytest.mark.parametrize("threshold", [-10.0, -0.5, 0.0, 0.7, 10.0])
def test_the_index_equals_direct_scoring_bit_for_bit(threshold: float) -> None:
    model, queries = random_model(), some_queries(80)
    found = sparse(model, threshold).retrieve(queries, 50)
    expected = ExactRetriever(SparseDirectScorer(model, threshold)).retrieve(queries, 50)
    np.testing.assert_array_equal(found.item_ids, expected.item_ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_an_unpruned_index_ranks_like_the_plain_sum() -> None:
    model = random_model()
    queries = some_queries(30)
    codes, weights = model.encode(queries)
    low = float(model.table.min()) - 1
    full = np.einsum("bs,bsi->bi", weights.astype(np.float64), model.table[codes].astype(np.float64) - low)
    item_ids, scores = sparse(model, low).retrieve(queries, 5)
    for row in np.flatnonzero(queries.lengths):
        full[row, queries[row]] = -np.inf
        best = np.argsort(-full[row], kind="stable")[:5]
        np.testing.assert_array_equal(item_ids[row], best)
        np.testing.assert_allclose(scores[row], full[row, best], rtol=1e-5)


@st.composite
def searches(draw: st.DrawFn) -> tuple[TableModel, np.ndarray, np.ndarray, Histories, float, int]:
    """Tables with many ties, rows of codes with repeats, weights, seen items; lists long enough for either way of collecting."""
    seed = draw(st.integers(0, 2**32 - 1))
    n_codes, n_items = draw(st.integers(1, 6)), draw(st.sampled_from([1, 3, 9, 200]))
    n_rows, n_slots = draw(st.integers(0, 4)), draw(st.integers(0, 5))
    rng = np.random.default_rng(seed)
    spread = draw(st.sampled_from([1, 3, 1000]))
    table = rng.integers(-spread, spread + 1, size=(n_codes, n_items)) / 4
    table[rng.random(table.shape) < draw(st.sampled_from([0.0, 0.9]))] = -np.inf
    weights = rng.choice([0, 0.1, 0.5, 1, 2.5], size=(n_rows, n_slots)).astype(np.float32)
    codes = rng.integers(n_codes, size=(n_rows, n_slots))
    seen = [rng.choice(n_items, rng.integers(0, min(n_items, 5) + 1), replace=False).tolist() for _ in range(n_rows)]
    threshold = draw(st.sampled_from([-1.0, -0.25, 0.0, 0.1, 0.25, 1.0]))
    return TableModel(table), codes, weights, Histories.from_lists(seen, n_items), threshold, draw(st.sampled_from([1, 2, 5, 300]))


def naive_search(
    table: np.ndarray, codes: list[int], weights: list[np.float32], seen: set[int], threshold: np.float32
) -> list[tuple[float, int]]:
    sums: dict[int, np.float32] = {}
    for code, weight in zip(codes, weights, strict=True):
        for item, score in enumerate(table[code]):
            if score > threshold:
                sums[item] = np.float32(sums.get(item, np.float32(0)) + weight * (score - threshold))
    return sorted((-float(total), item) for item, total in sums.items() if total > 0 and item not in seen)


@given(searches())
def test_search_equals_a_plain_loop(search: tuple[TableModel, np.ndarray, np.ndarray, Histories, float, int]) -> None:
    model, codes, weights, seen, threshold, k = search
    found = sparse(model, threshold, floor=-1.0).retrieve_codes(codes, weights, seen, k)
    for row in range(len(codes)):
        expected = naive_search(model.table, codes[row].tolist(), list(weights[row]), set(seen[row].tolist()), np.float32(threshold))[:k]
        n_found = len(expected)
        assert found.item_ids[row].tolist() == [item for _, item in expected] + [-1] * (k - n_found)
        assert found.scores[row].tolist() == [-total for total, _ in expected] + [-np.inf] * (k - n_found)


def test_ties_go_to_the_lower_item_whatever_list_it_is_in() -> None:
    table = np.full((3, N_ITEMS), -1.0)
    table[[0, 1, 2], [30, 20, 10]] = 2.0
    found = sparse(TableModel(table)).retrieve_codes(np.array([[0, 1, 2], [2, 0, 1]]), np.ones((2, 3)), None, 2)
    assert found.item_ids.tolist() == [[10, 20], [10, 20]]


def test_a_catalogue_without_items_returns_nothing() -> None:
    found = sparse(TableModel(np.zeros((2, 0)))).retrieve_codes(np.array([[0, 1]]), np.ones((1, 2)), None, 2)
    assert found.item_ids.tolist() == [[-1, -1]]


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(n_threads: int) -> None:
    model, queries = random_model(), some_queries(sparse_search.MIN_ROWS_PER_THREAD * 4 + 3)
    one = sparse(model, 0.2, n_threads=1).retrieve(queries, 7)
    many = sparse(model, 0.2, n_threads=n_threads).retrieve(queries, 7)
    np.testing.assert_array_equal(many.item_ids, one.item_ids)
    np.testing.assert_array_equal(many.scores, one.scores)


def test_callers_in_several_threads_get_their_own_answers() -> None:
    model = random_model(n_codes=30)
    shared, alone = sparse(model, 0.1, codes=np.arange(4)), sparse(model, 0.1, n_threads=1)
    batches = [some_queries(20, seed=seed) for seed in range(24)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda queries: shared.retrieve(queries, 9), batches))
    for queries, result in zip(batches, found, strict=True):
        np.testing.assert_array_equal(result.item_ids, alone.retrieve(queries, 9).item_ids)
    assert shared.n_queries == 24 * 20


def test_moving_the_threshold_equals_building_at_it() -> None:
    model, queries = random_model(), some_queries(25)
    codes, weights = model.encode(queries)
    low = sparse(model, -0.5, floor=-0.5)
    for threshold in (-0.5, 0.0, 0.9):
        moved = low.with_threshold(threshold).retrieve_codes(codes, weights, queries, 10)
        built = sparse(model, threshold, floor=threshold).retrieve(queries, 10)
        np.testing.assert_array_equal(moved.item_ids, built.item_ids)
        np.testing.assert_array_equal(moved.scores, built.scores)
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
    assert (retriever.unseen_queries, retriever.n_queries) == (unseen.any(axis=1).sum(), 40)
    assert retriever.index.codes.tolist() == sorted({*stored.tolist(), *codes[unseen].tolist()})
    moved = retriever.with_threshold(0.3)
    assert moved.unseen_queries == 0
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
    assert (retriever.unseen_codes, retriever.unseen_queries) == (9, 9)
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
    query = Histories.from_lists([[3, 15, 7, 20, 27]], N_ITEMS)  # codes 3, 3, 7, 8, 3
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
        assert [part.code for part in explanation.contributions] == [3, 3, 7, 8, 3]
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


def test_exact_blocks_join_up(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, queries = VectorTable(colours(N_ITEMS)), some_queries(11)
    whole = ExactRetriever(scorer).retrieve(queries, 5)
    monkeypatch.setattr(retrieval, "MAX_DENSE_SCORES", 3 * N_ITEMS)
    np.testing.assert_array_equal(ExactRetriever(scorer).retrieve(queries, 5).item_ids, whole.item_ids)
    model = random_model()
    direct = sparse_direct_scores(model, queries, 0.1)
    monkeypatch.setattr(retrieval, "MAX_DENSE_SCORES", 1 << 20)
    np.testing.assert_array_equal(direct, sparse_direct_scores(model, queries, 0.1))


def test_exact_search_knows_its_bytes_or_says_so() -> None:
    with pytest.raises(ValueError, match="VectorTable does not report its bytes"):
        ExactRetriever(VectorTable(colours(N_ITEMS))).size_bytes()


def test_faiss_flat_equals_exact_search() -> None:
    vectors = VectorTable(np.random.default_rng(3).normal(size=(300, 8)))
    queries = some_queries(50, n_items=300)
    queries = queries.take(np.flatnonzero(queries.lengths))  # a zero vector ties everywhere
    flat, exact = FaissRetriever(vectors).retrieve(queries, 20), ExactRetriever(vectors).retrieve(queries, 20)
    np.testing.assert_array_equal(flat.item_ids, exact.item_ids)
    np.testing.assert_allclose(flat.scores, exact.scores, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("kind", "lowest"), [("hnsw", 0.95), ("ivfflat", 0.8), ("ivfpq", 0.5)])
def test_approximate_search_finds_most_and_repeats_itself(kind: str, lowest: float) -> None:
    vectors = VectorTable(np.random.default_rng(4).normal(size=(600, 8)))
    queries = some_queries(40, n_items=600)
    queries = queries.take(np.flatnonzero(queries.lengths))
    found = FaissRetriever(vectors, kind).retrieve(queries, 20).item_ids
    exact = ExactRetriever(vectors).retrieve(queries, 20).item_ids
    share = np.mean([len(np.intersect1d(a, b)) / 20 for a, b in zip(found, exact, strict=True)])
    assert share >= lowest
    np.testing.assert_array_equal(found, FaissRetriever(vectors, kind).retrieve(queries, 20).item_ids)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivfflat", "ivfpq"])
def test_faiss_bytes_are_those_of_its_arrays(kind: str) -> None:
    import faiss

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
    queries = some_queries(60, n_items=3000)
    queries = queries.take(np.flatnonzero(queries.lengths))
    found, exact = FaissRetriever(vectors, "hnsw").retrieve(queries, 20), ExactRetriever(vectors).retrieve(queries, 20)
    assert np.mean([len(np.intersect1d(a, b)) / 20 for a, b in zip(found.item_ids, exact.item_ids, strict=True)]) > 0.9
    products = np.einsum("bd,bkd->bk", vectors.query_vectors(queries), vectors.item_vectors()[found.item_ids])
    np.testing.assert_allclose(found.scores, products, rtol=1e-4, atol=1e-2 * products.std())


def test_all_cells_probed_ivf_flat_equals_flat() -> None:
    vectors, queries = uneven_vectors(600), some_queries(40, n_items=600)
    queries = queries.take(np.flatnonzero(queries.lengths))
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


def test_codes_ranked_again_by_whole_vectors_find_more() -> None:
    import faiss

    vectors, queries = uneven_vectors(), some_queries(40, n_items=3000)
    exact = FaissRetriever(vectors).retrieve(queries, 20).item_ids
    settings = {"n_lists": 10, "n_probe": 10, "n_subvectors": 2}
    by_codes = FaissRetriever(vectors, "ivfpq", settings)
    again = FaissRetriever(vectors, "ivfpq", settings | {"k_factor": 8})

    def share(retriever: FaissRetriever) -> float:
        found = retriever.retrieve(queries, 20).item_ids
        return float(np.mean([np.isin(want, row).mean() for want, row in zip(exact, found, strict=True)]))

    assert share(by_codes) < share(again)
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
