"""Strong generalization: users are split, and each held-out user's history is cut into a query and its targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from sparcode.config import SplitConfig
from sparcode.data.evaluation_protocol import STRONG, EvaluationProtocol
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.side_features import UserEncoding, genre_features


class EvaluationSet(NamedTuple):
    """Held-out users: what is known of each (the query) and what is to be predicted (the targets).

    Attributes
    ----------
    queries, targets
        One row per user. A query and its targets put together are the history, oldest first.
    users
        (n,) int64, the users' rows in the data set.
    protocol
        What the queries show and how accuracy is counted.
    """

    queries: Histories
    targets: Histories
    users: np.ndarray
    protocol: EvaluationProtocol = STRONG


class Split(NamedTuple):
    """Training histories and two evaluation sets, of disjoint users.

    Attributes
    ----------
    train
        One full history per training user.
    train_users
        (n,) int64, the training users' rows in the data set.
    validation, test
        Held-out users. Every choice uses `validation`; `test` is for the numbers that are reported.
    dropped
        Reason -> number of users left out.
    has_time
        Whether the order inside a history is an order in time.
    item_features
        (I, F) float32 side features of items; None for none.
    user_encoding
        How what is known of users became the `features` of `train` and of the queries; None where nothing is.
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
        """How the users are evaluated; training queries show as much as those of the test."""
        return self.test.protocol

    @property
    def train_queries(self) -> Histories:
        """Training users as queries."""
        return self.protocol.queries_of(self.train)


def split_users(interactions: Interactions, config: SplitConfig) -> Split:
    """Split users by a seeded shuffle and cut each held-out history in time.

    Of a held-out history of n items the last ``max(1, round(target_share * n))`` are targets, but never all n. Where the data has no
    times, every history is shuffled with the seed first: the order of a file often follows the item id, so that its last rows would
    be a biased choice. Targets that no training user has touched stay targets: a service meets them too, and leaving them out would
    flatter every model. `validation_share` and `test_share` are rounded down, but to at least one user. What is known of users becomes
    features by what the training users have: categories, means and spreads.

    Parameters
    ----------
    config
        Shares, the shortest history and the seed.

    Raises
    ------
    ValueError
        If fewer than three users have a history of at least `min_history` items.
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
    keys = np.random.default_rng([seed, 1]).random(len(histories.items))
    order = np.lexsort((keys, histories.rows))
    return Histories(histories.indptr, histories.items[order], histories.n_items, histories.features)


def _cut(histories: Histories, users: np.ndarray, target_share: float) -> EvaluationSet:
    held_out = histories.take(users)
    n_targets = np.clip(np.rint(target_share * held_out.lengths).astype(np.int64), 1, held_out.lengths - 1)
    position = np.arange(len(held_out.items)) - held_out.indptr[held_out.rows]
    in_query = position < (held_out.lengths - n_targets)[held_out.rows]
    return EvaluationSet(queries=held_out.select(in_query), targets=held_out.select(~in_query), users=users)
