from __future__ import annotations

import numpy as np
import pytest

from benchmarks.retrieval import beside_hnsw, ratios, recall_table
from benchmarks.retrieval_cases import (
    ADDING,
    BLOCKED,
    IVF_PQ_RANKED,
    KERNEL,
    LINKS,
    LISTS,
    MANY_LINKS_ITEMS,
    QUANTIZED,
    Fitted,
    SearchRow,
    chosen,
    faiss_settings,
    fit,
)
from sparcode.comparison.found_share import Codes, uncut_best
from sparcode.comparison.peers import FLAT, HNSW
from sparcode.index.score_table import code_scores
from sparcode.retrieval.faiss import search_faiss
from sparcode.retrieval.faiss_index import FlatConfig, build_faiss
from tests.tiny import tiny_model, tiny_split


def row(name: str, p50_us: float) -> SearchRow:
    return SearchRow(name, "", 1.0, p50_us, p50_us, p50_us, {}, 8, 0.0, 1.0, 2)


SHORT = [row(ADDING, 2.0), row(KERNEL, 3.0), row(LISTS, 5.0), row(BLOCKED, 4.0), row(QUANTIZED, 6.0)]
LONG = [row(LISTS, 20.0), row(BLOCKED, 10.0), row(QUANTIZED, 12.0)]
VECTORS = [row(FLAT, 200.0), row(HNSW, 40.0)]


def test_the_last_line_has_its_names() -> None:
    found = ratios(SHORT, VECTORS, 4.06)
    assert found == {"speedup_vs_hnsw": 10.0, "speedup_vs_flat": 50.0, "over_floor": 1.5, "bytes_per_posting": 4.06}
    assert "speedup_vs_hnsw" not in ratios(SHORT, VECTORS[:1], 4.06)


LONGEST = {"p50_over_hnsw_longest": 0.25, "p95_over_hnsw_longest": 0.5}


@pytest.mark.parametrize(
    ("recalls", "share_found", "expected"),
    [
        ({10: 0.3, 100: 0.31, None: 0.32}, 0.95, {"speedup_vs_hnsw_equal_recall": 10.0, "speedup_vs_hnsw_equal_found": 10.0}),
        ({10: 0.2, 100: 0.3, None: 0.32}, 0.94, {"speedup_vs_hnsw_equal_recall": 4.0, "speedup_vs_hnsw_equal_found": 4.0}),
        ({10: 0.2, 100: 0.29, None: 0.32}, 0.94, {"speedup_vs_hnsw_equal_found": 4.0}),
    ],
)
def test_only_lists_as_good_as_hnsw_are_compared_with_it(
    recalls: dict[int | None, float], share_found: float, expected: dict[str, float]
) -> None:
    short, long = [row._replace(recall=share_found) for row in SHORT], [row._replace(p95_us=20.0) for row in LONG]
    assert beside_hnsw({10: short, 100: long}, VECTORS, recalls, 0.3) == expected | LONGEST
    assert beside_hnsw({10: short, 100: long}, VECTORS[:1], recalls, 0.3) == {}


def test_the_table_of_recalls_has_a_row_per_model() -> None:
    lines = recall_table({1: {10: 0.1, None: 0.2}, 8: {10: 0.15, None: 0.3}}, 0.25, {10: 0.05})
    assert lines[2:] == ["| 1 nearest | 0.1000 | 0.2000 |", "| 8 nearest | 0.1500 | 0.3000 |", "| two-tower, exact | - | 0.2500 |"]


def test_the_fastest_that_finds_enough_is_chosen_and_else_the_one_that_finds_most() -> None:
    slow, fast, poor = (Fitted(None, "", 0.0, recall, us) for recall, us in ((0.99, 5.0), (0.95, 3.0), (0.9, 1.0)))
    assert chosen([slow, fast, poor]) is fast
    assert chosen([poor, poor._replace(recall=0.8)]) is poor


def test_large_catalogues_have_one_number_of_links() -> None:
    assert [config.n_links for config, _ in faiss_settings(HNSW, MANY_LINKS_ITEMS)] == list(LINKS)
    assert [config.n_links for config, _ in faiss_settings(HNSW, MANY_LINKS_ITEMS + 1)] == [LINKS[-1]]


def test_ranking_again_finds_enough() -> None:
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(3000, 32)).astype(np.float32), rng.normal(size=(20, 32)).astype(np.float32)
    exact = search_faiss(build_faiss(vectors, FlatConfig()), queries, 100, None).item_ids
    assert fit(IVF_PQ_RANKED, vectors, queries, exact).recall >= 0.95


def test_the_uncut_best_are_those_of_all_codes_over_all_items() -> None:
    model = tiny_model()
    codes, weights = model.encode(tiny_split().test.queries)
    found = uncut_best(model, Codes(codes, weights))
    scores = weights[0] @ code_scores(model, codes[0])
    np.testing.assert_allclose(scores[found[0][found[0] >= 0]], np.sort(scores)[::-1][:100], rtol=1e-5)
