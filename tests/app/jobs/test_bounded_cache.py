from __future__ import annotations

import pytest

from app.jobs.bounded_cache import BoundedCache


def test_what_was_unused_longest_goes_first() -> None:
    cache = BoundedCache(30)
    for key in "abc":
        cache.put(key, key.upper(), 10)
    assert cache.get("a") == "A"
    cache.put("d", "D", 10)
    assert cache.get("b") is None
    assert cache.values() == ["C", "A", "D"]
    assert cache.n_bytes == 30


def test_a_large_value_drives_out_as_many_as_needed() -> None:
    cache = BoundedCache(30)
    for key in "abc":
        cache.put(key, key, 10)
    cache.put("d", "d", 20)
    assert cache.values() == ["c", "d"]


def test_the_last_value_stays_even_if_it_is_larger_than_the_limit() -> None:
    cache = BoundedCache(30)
    cache.put("a", "a", 10)
    cache.put("b", "b", 99)
    assert cache.values() == ["b"]
    cache.put("c", "c", 1)
    assert cache.values() == ["c"]


def test_a_new_value_takes_the_place_and_the_bytes_of_the_old_one() -> None:
    cache = BoundedCache(30)
    cache.put("a", 1, 25)
    cache.put("a", 2, 5)
    cache.put("b", 3, 25)
    assert cache.values() == [2, 3]
    assert cache.n_bytes == 30


def test_a_discarded_value_is_gone_and_discarding_twice_is_fine() -> None:
    cache = BoundedCache(30)
    cache.put("a", 1, 10)
    cache.discard("a")
    cache.discard("a")
    assert cache.get("a") is None
    assert cache.n_bytes == 0


def test_looking_at_all_values_does_not_count_as_use() -> None:
    cache = BoundedCache(20)
    cache.put("a", "a", 10)
    cache.put("b", "b", 10)
    cache.values()
    cache.put("c", "c", 10)
    assert cache.values() == ["b", "c"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_holds_nothing_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_bytes must be positive, got {limit}"):
        BoundedCache(limit)
