"""Build and search an index from a score function of your own, without this project's networks: `python examples/own_scores.py`."""

from __future__ import annotations

import numpy as np

from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.index.pruning import KeepDensity
from sparcode.retrieval.sparse import SparseRetriever


class OwnModel:
    """Anything with these three methods (`sparcode.index.coded_model.CodedModel`); here codes are groups of items."""

    def __init__(self, n_items: int, n_groups: int, seed: int) -> None:
        self.n_items, self.n_groups = n_items, n_groups
        self.affinity = np.random.default_rng(seed).gamma(0.5, size=(n_groups, n_items)).astype(np.float32)

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        """Two codes and weights per query: the groups of its latest items."""
        codes = np.array([queries[row][-2:] % self.n_groups for row in range(len(queries))], dtype=np.int64)
        return codes, np.full(codes.shape, 0.5, dtype=np.float32)

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        """Any function of code and item: (n,) codes to (n, n_items) scores."""
        return self.affinity[codes]

    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        """Where codes lie; asked for only where a code without a list is to go to the nearest one."""
        return self.affinity[codes]


def main() -> None:
    """Index the scores, keep a fifth of them, search."""
    model = OwnModel(n_items=500, n_groups=40, seed=0)
    index = build_index(model, np.arange(model.n_groups), floor=0.0, block_codes=16)
    retriever = SparseRetriever(model, index, KeepDensity(0.2).cut(index))
    print(retriever.retrieve(Histories.from_lists([[3, 141, 59], [26, 5]], model.n_items), k=5))
    print(retriever.size_bytes())


if __name__ == "__main__":
    main()
