"""Strong generalization: users are split, and each held-out user's history is cut into a query and its targets."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from sparcode.config import SplitConfig
from sparcode.data.evaluation_protocol import STRONG, EvaluationProtocol
from sparcode.data.interactions import Histories, Interactions, row_blocks
from sparcode.data.side_features import UserEncoding, genre_features


class EvaluationSet(NamedTuple):
    """Held-out users: what is known of each (the query) and what is to be predicted (the targets).

    `users` are (n,) int64 rows in the data set. A query followed by its targets is the history, oldest first.
    """

    queries: Histories
    targets: Histories
    users: np.ndarray
    protocol: EvaluationProtocol = STRONG


class Split(NamedTuple):
    """Training histories and two evaluation sets, of disjoint users.

    Attributes
    ----------
    train_users
        (n,) int64, rows in the data set.
    validation, test
        Every choice uses `validation`; `test` is for reported numbers.
    dropped
        Reason -> number of users left out.
    has_time
        Whether histories are ordered in time.
    item_features
        (I, F) float32 or None.
    user_encoding
        How user tables became `features`; None for none.
    user_vectors
        (n_train, E) float32 published embeddings of the training users, in the space of `item_features`; None for none.
    """

    train: Histories
    train_users: np.ndarray
    validation: EvaluationSet
    test: EvaluationSet
    dropped: dict[str, int]
    has_time: bool = False
    item_features: np.ndarray | None = None
    user_encoding: UserEncoding | None = None
    user_vectors: np.ndarray | None = None

    @property
    def protocol(self) -> EvaluationProtocol:
        """How the users are evaluated."""
        return self.test.protocol

    @property
    def train_queries(self) -> Histories:
        """Training users as queries."""
        return self.protocol.queries_of(self.train)

    def content_hash(self) -> str:
        """Hash of all histories and side features, 16 hexadecimal digits: everything that models are trained and measured on."""
        digest = hashlib.sha256()
        parts = (self.train, self.validation.queries, self.validation.targets, self.test.queries, self.test.targets)
        arrays = [array for part in parts for array in (part.indptr, part.items, part.features)]
        for array in (*arrays, self.item_features, self.user_vectors):
            digest.update(b"none" if array is None else f"{array.shape}, {array.dtype}".encode())
            digest.update(b"" if array is None else np.ascontiguousarray(array).data)
        digest.update(f"{self.train.n_items}, {self.has_time}, {self.protocol.name}".encode())
        return digest.hexdigest()[:16]


def split_users(interactions: Interactions, config: SplitConfig) -> Split:
    """Split users by a seeded shuffle and cut each held-out history in time.

    The last ``max(1, round(target_share * n))`` of n items are targets, but never all. Histories without times are shuffled first: files
    are often sorted by item id, so their last rows would be a biased choice. Targets that no training user has stay, as in a real service.
    `validation_share` and `test_share` are rounded down, but to at least one user. User features are encoded by the training users'
    categories, means and spreads.

    ValueError if fewer than three users have a history of at least `min_history` items.
    """
    histories = interactions.histories if interactions.has_time else _shuffled(interactions.histories, config.seed)
    usable = np.flatnonzero(histories.lengths >= config.min_history)
    n_short = len(histories) - len(usable)
    if len(usable) < 3:
        raise ValueError(
            f"a split needs at least 3 users with min_history={config.min_history} or more items (one each to train, validate and test); "
            f"{interactions.name!r} has {len(usable)} of {len(histories)} users"
        )
    users = np.random.default_rng(config.seed).permutation(usable)
    n_validation = _part(config.validation_share, len(users))
    n_test = _part(config.test_share, len(users))
    validation_users, test_users, train_users = np.split(users, [n_validation, n_validation + n_test])
    histories, encoding = _with_features(histories, interactions.users, train_users)
    return Split(
        train=histories.take(train_users),
        train_users=train_users,
        validation=_cut(histories, validation_users, config.target_share),
        test=_cut(histories, test_users, config.target_share),
        dropped={f"users with fewer than {config.min_history} interactions": n_short} if n_short else {},
        has_time=interactions.has_time,
        item_features=genre_features(interactions.items),
        user_encoding=encoding,
    )


def _part(share: float, n_users: int) -> int:
    # The small term keeps a product such as 0.29 * 100 = 28.999999999999996 from losing a user.
    return max(1, int(share * n_users + 1e-9))


def _with_features(histories: Histories, users: pd.DataFrame | None, train_users: np.ndarray) -> tuple[Histories, UserEncoding | None]:
    encoding = None if users is None else UserEncoding.fit(users, train_users)
    if encoding is None:
        return histories, None
    return Histories(histories.indptr, histories.items, histories.n_items, encoding.encode(users)), encoding


def _shuffled(histories: Histories, seed: int) -> Histories:
    # A stream of its own, so that who is held out does not depend on whether the data has times.
    rng, indptr = np.random.default_rng([seed, 1]), histories.indptr
    items = np.empty_like(histories.items)
    for first, last in row_blocks(indptr):
        start, stop = indptr[first], indptr[last]
        rows = np.repeat(np.arange(first, last), histories.lengths[first:last])
        items[start:stop] = histories.items[start:stop][np.lexsort((rng.random(stop - start), rows))]
    return Histories(indptr, items, histories.n_items, histories.features)


def _cut(histories: Histories, users: np.ndarray, target_share: float) -> EvaluationSet:
    held_out = histories.take(users)
    n_targets = np.clip(np.rint(target_share * held_out.lengths).astype(np.int64), 1, held_out.lengths - 1)
    position = np.arange(len(held_out.items)) - held_out.indptr[held_out.rows]
    in_query = position < (held_out.lengths - n_targets)[held_out.rows]
    return EvaluationSet(queries=held_out.select(in_query), targets=held_out.select(~in_query), users=users)
