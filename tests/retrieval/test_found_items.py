from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sparcode.retrieval.faiss_configs import FlatConfig
from sparcode.retrieval.faiss_search import build_faiss, search_faiss
from sparcode.retrieval.found_items import best_unseen, warm_up


@given(seed=st.integers(0, 1000), k=st.integers(1, 12))
def test_the_best_unseen_are_those_of_a_plain_sort(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    n_items, width = 12, 9
    found = np.stack([rng.permutation(n_items)[:width] for _ in range(3)])
    found[rng.random(found.shape) < 0.2] = -1
    scores = np.round(rng.normal(size=found.shape), 1).astype(np.float32)
    seen = [rng.permutation(n_items)[: rng.integers(0, 6)] for _ in range(4)]
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in seen])])
    item_ids, values = np.full((4, k), 77, dtype=np.int32), np.full((4, k), 77, dtype=np.float32)
    rows = np.array([2, 0, 3])
    best_unseen(found, scores, indptr, np.concatenate(seen).astype(np.int32), rows, item_ids, values)
    for number, row in enumerate(rows):
        pairs = [(-score, item) for item, score in zip(found[number], scores[number], strict=True) if item >= 0 and item not in seen[row]]
        best = sorted(pairs)[:k]
        assert item_ids[row].tolist() == [item for _, item in best] + [-1] * (k - len(best))
        assert values[row].tolist() == [-score for score, _ in best] + [-np.inf] * (k - len(best))
    assert (item_ids[1] == 77).all()


def test_a_search_uses_the_code_compiled_by_the_warm_up() -> None:
    warm_up()
    n_compiled = len(best_unseen.signatures)
    vectors = np.eye(4, dtype=np.float32)
    search_faiss(build_faiss(vectors, FlatConfig()), vectors, 2, None)
    assert len(best_unseen.signatures) == n_compiled
