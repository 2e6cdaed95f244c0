from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sparcode.data.interactions import Interactions
from sparcode.data.profile import profile_of
from sparcode.data.time_words import time_words
from tests.tiny import tiny_data


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"user_id": [1, 1, 1, 2, 3, 3], "item_id": [5, 6, 7, 5, 5, 6], **columns})


def test_a_profile_counts_what_a_loop_counts() -> None:
    data = tiny_data()
    found, lengths = profile_of(data), [len(data.histories[row]) for row in range(data.n_users)]
    assert (found.n_users, found.n_items, found.n_interactions) == (120, 80, sum(lengths))
    assert found.density == pytest.approx(sum(lengths) / (120 * 80))
    assert (found.shortest, found.longest) == (min(lengths), max(lengths))
    assert (found.median, found.mean) == (np.median(lengths), pytest.approx(np.mean(lengths)))
    assert found.counts.tolist() == [sum(low <= n < high for n in lengths) for low, high in zip(found.edges, found.edges[1:], strict=False)]
    assert found.counts.sum() == 120
    uses = sorted((data.histories.items == item).sum() for item in range(80))
    assert found.top_share == pytest.approx(sum(uses[-8:]) / sum(lengths))


def test_the_longest_history_is_counted_even_at_an_edge() -> None:
    for n in (1, 2, 3, 4, 8):
        data = Interactions.from_frame(pd.DataFrame({"user_id": [1] * n, "item_id": range(n)}), "x")
        assert profile_of(data).counts.tolist() == [0] * (n.bit_length() - 1) + [1]


def test_times_span_from_the_first_to_the_last_and_what_was_left_out_is_told() -> None:
    times = [881250949, 891717742, 878887116, 880606923, 893286638, 874724710]
    data = Interactions.from_frame(frame(timestamp=times), "x", dropped={"malformed rows": 2})
    assert profile_of(data).time_span == ("1997-09-20", "1998-04-22")
    assert profile_of(data).dropped == {"malformed rows": 2}
    assert profile_of(data, {"users with fewer than 5 interactions": 3}).dropped == {"users with fewer than 5 interactions": 3}
    assert profile_of(Interactions.from_frame(frame(), "x")).time_span is None
    texts = pd.to_datetime(["2020-02-01T10:00Z", "2020-01-01T00:00Z", "2021-01-01T23:59Z", *["2020-06-01T00:00Z"] * 3])
    assert profile_of(Interactions.from_frame(frame(timestamp=texts), "x")).time_span == ("2020-01-01", "2021-01-01")


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (978300760, "2000-12-31"),
        (978300760_000, "2000-12-31"),
        (978300760_000_000, "2000-12-31"),
        (978300760_000_000_000, "2000-12-31"),
        (pd.Timestamp("2001-02-03 04:05", tz="UTC"), "2001-02-03"),
        (7, "7"),
        (0.25, "0.25"),
        (-978300760, "-978300760"),
        (20240101, "2024-01-01"),
        (20240101.0, "2024-01-01"),
        (202401011230, "2024-01-01"),
        (20240101123059, "2024-01-01"),
        (20249901, "20249901"),
        (123456789012345, "1973-11-29"),
        (9223372036854775807, "2262-04-11"),
        (9999999999999999999, "9999999999999999999"),
        (np.int64(2**63 - 1), "2262-04-11"),
        (1234567.5, "1234567.5"),
        (float("inf"), "inf"),
    ],
)
def test_a_time_is_told_in_words_whatever_its_unit(time: object, words: str) -> None:
    assert time_words(time) == words
