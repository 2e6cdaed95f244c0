"""Ridge regression from side features to published user vectors, for users without a history."""

from __future__ import annotations

import numpy as np
from scipy.linalg import LinAlgError, solve

from sparcode.data.interactions import Histories


class FeatureRegression:
    """Linear in the features: ``user vector = [features, 1] W``; a song's score is its vector times the user's.

    The authors of Deezer's release map with a network of three layers; this closed form is simpler and not their model. `l2` is the penalty
    per training user, above 0. After `fit`, ``weights_`` is (F + 1, E) and ``item_vectors_`` (I, E) float32.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = l2

    def fit(self, users: Histories, user_vectors: np.ndarray, item_vectors: np.ndarray) -> FeatureRegression:
        """Learn from B users with side features, their (B, E) float32 vectors, and (I, E) float32 item vectors in the same space.

        ValueError if `l2` is not above 0, the shapes do not fit, or the users have no features.
        """
        if not 0 < self.l2 < np.inf:
            raise ValueError(f"l2 must be a number above 0; got {self.l2}")
        if len(user_vectors) != len(users) or user_vectors.shape[1:] != item_vectors.shape[1:]:
            raise ValueError(f"user vectors must be ({len(users)}, {item_vectors.shape[1]}); got {user_vectors.shape}")
        inputs = _with_one(users)
        gram = (inputs.T @ inputs).astype(np.float64)
        # The constant is not held small: it is the mean user.
        penalty = np.full(len(gram), self.l2 * len(users))
        penalty[-1] = 1e-6
        gram[np.diag_indices(len(gram))] += penalty
        try:
            self.weights_ = solve(gram, (inputs.T @ user_vectors).astype(np.float64), assume_a="pos").astype(np.float32)
        except LinAlgError as error:
            raise ValueError(f"l2={self.l2} is too small to tell the features apart; take a larger one") from error
        self.item_vectors_ = item_vectors
        return self

    @property
    def n_items(self) -> int:
        """Catalogue size I."""
        return len(self.item_vectors_)

    def score(self, queries: Histories) -> np.ndarray:
        """Scores of every item, (B, I) float32; ValueError if the queries have another number of side features."""
        if queries.n_features != len(self.weights_) - 1:
            raise ValueError(f"queries must have {len(self.weights_) - 1} side features; got {queries.n_features}")
        return _with_one(queries) @ self.weights_ @ self.item_vectors_.T

    def size_bytes(self) -> dict[str, int]:
        """Bytes that serving needs, by part."""
        return {"weights": self.weights_.nbytes, "item vectors": self.item_vectors_.nbytes}


def _with_one(users: Histories) -> np.ndarray:
    if users.features is None:
        raise ValueError("users must have side features; got none")
    return np.concatenate([users.features, np.ones((len(users), 1), dtype=np.float32)], axis=1)
