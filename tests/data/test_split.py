from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcode.config import SplitConfig
from sparcode.data.interactions import Histories, Interactions
from sparcode.data.split import EvaluationSet, split_users


def dataset(rows: list[int] | list[list[int]], has_time: bool = True, n_items: int = 40) -> Interactions:
    """Histories, or random ones of these lengths."""
    rng = np.random.default_rng(len(rows))
    rows = [rng.permutation(n_items)[:row].tolist() if isinstance(row, int) else row for row in rows]
    return Interactions(
        histories=Histories.from_lists(rows, n_items),
        user_ids=np.arange(len(rows)),
        item_ids=np.arange(n_items),
        items=pd.DataFrame({"title": [str(item) for item in range(n_items)]}),
        name="tiny",
        has_time=has_time,
    )


def parts(split) -> list[np.ndarray]:
    return [split.train_users, split.validation.users, split.test.users]


def joined(part: EvaluationSet) -> list[list[int]]:
    return [query.tolist() + target.tolist() for query, target in zip(part.queries, part.targets, strict=True)]


configs = st.builds(
    SplitConfig,
    validation_share=st.floats(0.01, 0.4),
    test_share=st.floats(0.01, 0.4),
    target_share=st.floats(0.01, 0.99),
    min_history=st.integers(2, 6),
    seed=st.integers(0, 5),
)


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), min_size=3, max_size=40), configs, st.booleans())
def test_split_invariants(lengths, config, has_time):
    data = dataset(lengths, has_time)
    usable = [user for user, length in enumerate(lengths) if length >= config.min_history]
    if len(usable) < 3:
        with pytest.raises(ValueError, match=f"has {len(usable)} of {len(lengths)} users"):
            split_users(data, config)
        return
    split = split_users(data, config)
    assert sorted(np.concatenate(parts(split)).tolist()) == usable  # nobody twice, nobody lost
    assert all(len(part) >= 1 for part in parts(split))
    assert sum(split.dropped.values()) == len(lengths) - len(usable)
    assert len(split.train) == len(split.train_users)
    for part in (split.validation, split.test):
        assert len(part.queries) == len(part.targets) == len(part.users)
        assert part.queries.lengths.min() >= 1
        for user, query, target, history in zip(part.users, part.queries, part.targets, joined(part), strict=True):
            n = lengths[user]
            assert len(target) == min(max(1, round(config.target_share * n)), n - 1)
            assert not set(query.tolist()) & set(target.tolist())
            whole = data.histories[user].tolist()
            assert history == whole if has_time else sorted(history) == sorted(whole)
    for user, history in zip(split.train_users, split.train, strict=True):
        assert sorted(history.tolist()) == sorted(data.histories[user].tolist())


def test_shares_of_a_larger_data_set():
    split = split_users(dataset([10] * 100), SplitConfig(validation_share=0.29, test_share=0.1))
    assert [len(part) for part in parts(split)] == [61, 29, 10]
    assert set(split.test.targets.lengths) == {2}
    assert set(split.test.queries.lengths) == {8}
    assert split.dropped == {}


def test_short_histories_are_dropped_and_counted():
    split = split_users(dataset([10] * 20 + [4, 4, 1]), SplitConfig(min_history=5))
    assert split.dropped == {"users with fewer than 5 interactions": 3}
    assert not set(np.concatenate(parts(split)).tolist()) & {20, 21, 22}


@pytest.mark.parametrize("has_time", [True, False])
def test_the_seed_decides(has_time):
    data = dataset([8] * 50, has_time)
    first, again, other = (split_users(data, SplitConfig(seed=seed)) for seed in (1, 1, 2))
    for one, two in zip(parts(first), parts(again), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first.train.items, again.train.items)
    np.testing.assert_array_equal(first.test.targets.items, again.test.targets.items)
    assert set(first.test.users.tolist()) != set(other.test.users.tolist())


def test_time_decides_nothing_about_who_is_held_out():
    timed, untimed = (split_users(dataset([8] * 50, has_time), SplitConfig()) for has_time in (True, False))
    np.testing.assert_array_equal(timed.test.users, untimed.test.users)


def test_histories_without_time_are_shuffled():
    data = dataset([20] * 30, has_time=False)
    split = split_users(data, SplitConfig())
    assert any(history != data.histories[user].tolist() for user, history in zip(split.test.users, joined(split.test), strict=True))
    assert any(history.tolist() != data.histories[user].tolist() for user, history in zip(split.train_users, split.train, strict=True))


def test_targets_unknown_to_training_stay():
    data = dataset([[3 * user, 3 * user + 1, 3 * user + 2] for user in range(10)])  # every user has items of their own
    split = split_users(data, SplitConfig(min_history=2))
    assert split.test.targets.lengths.tolist() == [1]
    assert split.test.targets[0][0] == 3 * split.test.users[0] + 2
    assert split.test.targets[0][0] not in split.train.items


@pytest.mark.parametrize("n_users", [3, 4, 5])
def test_the_fewest_users_fill_every_part(n_users):
    split = split_users(dataset([5] * n_users), SplitConfig(validation_share=0.4, test_share=0.4))
    assert all(len(part) >= 1 for part in parts(split))


def test_too_few_users_are_refused_with_counts():
    with pytest.raises(ValueError, match=r"at least 3 users with min_history=5 .*'tiny' has 2 of 4 users"):
        split_users(dataset([9, 9, 4, 1]), SplitConfig())
