from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from sparcode.data.interactions import Histories
from sparcode.training.losses import corrected_softmax_loss, softmax_loss
from sparcode.training.negatives import POPULARITY_POWER, NegativeSampler

I = 7
# Every item but the last has a user, item 1 has all of them.
USERS = Histories.from_lists([[1, 0], [1, 2, 3], [4, 1], [1, 5, 2], [1]], I)
COUNTS = np.bincount(USERS.items, minlength=I)
LOGITS = torch.randn(len(USERS), I, generator=torch.Generator().manual_seed(0))


def loss_of(sampler: NegativeSampler, users: np.ndarray, rng: np.random.Generator, query: int) -> float:
    """One query's softmax normaliser by the candidates of a batch, read off the loss."""
    batch = USERS.take(users)
    drawn = sampler.draw(batch, rng)
    assert drawn.items[drawn.columns].tolist() == batch.items.tolist()
    own = batch.rows == users.tolist().index(query)
    rows, columns = torch.zeros(own.sum(), dtype=torch.int64), torch.from_numpy(drawn.columns[own])
    logits = LOGITS[query : query + 1, torch.from_numpy(drawn.items)]
    loss = float(corrected_softmax_loss(logits, rows, columns, torch.from_numpy(drawn.log_weights)))
    return math.exp((loss + float(logits[0, columns].sum())) / len(columns))


def test_a_batch_s_items_stand_for_the_catalogue_in_expectation_over_all_batches() -> None:
    """The mean normaliser over every batch with a user is the full softmax's, but for the item nobody has."""
    sampler = NegativeSampler(USERS, "batch", 1)
    for size, query in itertools.product((2, 3, 5), range(5)):
        batches = [users for users in itertools.combinations(range(5), size) if query in users]
        found = [loss_of(sampler, np.array(users), np.random.default_rng(0), query) for users in batches]
        assert np.mean(found) == pytest.approx(float(LOGITS[query, :-1].exp().sum()), rel=1e-5)


class Places:
    """A generator whose draws are given."""

    def __init__(self, places: np.ndarray) -> None:
        self._places = places

    def random(self, size: int) -> np.ndarray:
        assert size == len(self._places)
        return self._places


@pytest.mark.parametrize("n_negatives", [1, 2])
def test_popular_negatives_stand_for_the_catalogue_in_expectation_over_all_draws(n_negatives: int) -> None:
    sampler = NegativeSampler(USERS, "popularity", n_negatives)
    weights = np.maximum(COUNTS, 1) ** POPULARITY_POWER
    shares = weights / weights.sum()
    middles = np.cumsum(shares) - shares / 2
    for query in range(5):
        mean = 0.0
        for items in itertools.product(range(I), repeat=n_negatives):
            probability = float(np.prod(shares[list(items)]))
            mean += probability * loss_of(sampler, np.arange(5), Places(middles[list(items)]), query)
        assert mean == pytest.approx(float(LOGITS[query].exp().sum()), rel=1e-5)


def test_popular_items_are_drawn_by_their_power() -> None:
    sampler, rng = NegativeSampler(USERS, "popularity", 20_000), np.random.default_rng(3)
    drawn = np.bincount(sampler._pick(rng), minlength=I)
    weights = np.maximum(COUNTS, 1) ** POPULARITY_POWER
    assert chisquare(drawn, 20_000 * weights / weights.sum()).pvalue > 0.01


def test_many_popular_negatives_give_the_full_loss() -> None:
    drawn = NegativeSampler(USERS, "popularity", 200_000).draw(USERS, np.random.default_rng(1))
    rows, columns = torch.from_numpy(USERS.rows), torch.from_numpy(drawn.columns)
    sampled = corrected_softmax_loss(LOGITS[:, drawn.items], rows, columns, torch.from_numpy(drawn.log_weights))
    full = softmax_loss(LOGITS, rows, torch.from_numpy(USERS.items.astype(np.int64)))
    assert float(sampled) == pytest.approx(float(full), rel=5e-3)


def test_the_same_seed_draws_the_same_candidates() -> None:
    sampler = NegativeSampler(USERS, "popularity", 4)
    first, second, other = (sampler.draw(USERS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one, two) for one, two in zip(first, second, strict=True))
    assert not np.array_equal(first.log_weights, other.log_weights)


def test_one_user_alone_has_only_own_items() -> None:
    drawn = NegativeSampler(USERS, "batch", 1).draw(USERS.take(np.array([3])), np.random.default_rng(0))
    assert drawn.items.tolist() == [1, 2, 5]
    assert np.isfinite(drawn.log_weights).all()
