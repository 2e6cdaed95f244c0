from __future__ import annotations

from app.jobs.byte_cache import ByteCache


def filled(max_bytes: int, *texts: str) -> ByteCache[str]:
    """A letter weighs ten bytes."""
    made: ByteCache[str] = ByteCache(max_bytes, lambda text: 10 * len(text))
    for text in texts:
        made.put(text[0], text)
    return made


def test_what_was_unused_longest_goes_first_and_looking_at_all_values_is_no_use() -> None:
    kept = filled(30, "a", "b", "c")
    assert kept.get("a") == "a"
    assert kept.values() == ["a", "b", "c"]
    kept.put("d", "d")
    assert kept.get("b") is None
    assert kept.values() == ["a", "c", "d"]


def test_a_large_value_drives_out_as_many_as_needed_and_stays_even_beyond_the_limit() -> None:
    assert filled(30, "a", "b", "c", "dd").values() == ["c", "dd"]
    kept = filled(30, "a", "bbbbb")
    assert kept.values() == ["bbbbb"]
    kept.put("c", "c")
    assert kept.values() == ["c"]


def test_a_new_value_takes_the_place_and_the_bytes_of_the_old_one() -> None:
    assert filled(30, "aa", "b", "a", "c").values() == ["b", "a", "c"]


def test_a_discarded_value_is_gone_and_discarding_twice_is_fine() -> None:
    kept = filled(30, "a")
    kept.discard("a")
    kept.discard("a")
    assert kept.get("a") is None
