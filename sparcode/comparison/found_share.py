"""The share found of the exact best items of the same model: accuracy on a grown catalogue, which has no targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sparcode.index.score_table import iter_score_blocks
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.top_k import top_k

# Best items that are looked for: candidates of a retrieval stage.
FOUND_K = 100
# Queries whose best items over everything, nothing cut, are looked up.
UNCUT_QUERIES = 40
_BLOCK_CODES = 16


class Codes(NamedTuple):
    """Queries as codes and weights: (B, S) int64 and float32."""

    codes: np.ndarray
    weights: np.ndarray

    def rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """One row each."""
        return [(self.codes[row : row + 1], self.weights[row : row + 1]) for row in range(len(self.codes))]


def uncut_best(model: SparCodeModel, queries: Codes, n_queries: int = UNCUT_QUERIES, k: int = FOUND_K) -> np.ndarray:
    """(n_queries, k) best items of the first queries when every code scores every item and no score is cut."""
    codes, weights = (part[:n_queries] for part in queries)
    scores = np.zeros((len(codes), model.n_items), dtype=np.float32)
    for block, of_block in iter_score_blocks(model, np.unique(codes), _BLOCK_CODES):
        share = np.stack([(weights * (codes == code)).sum(axis=1) for code in block], axis=1)
        scores += share.astype(np.float32) @ of_block
    return top_k(scores, k).item_ids


def found_share(found: np.ndarray, exact: np.ndarray) -> float:
    """Mean share of a row's exact items that were found; both (B, k) item ids, -1 where there is none."""
    wanted = [row[row >= 0] for row in exact]
    shares = [np.isin(want, row).mean() if len(want) else 1.0 for row, want in zip(found, wanted, strict=True)]
    return float(np.mean(shares))
