from __future__ import annotations

import numpy as np

from app.charts.takeaways import accuracy_takeaway, memory_takeaway, most_accurate, size_takeaway, usage_takeaway


def test_a_size_is_held_against_the_most_accurate_threshold() -> None:
    best = most_accurate(np.array([1.0, 12.1, 30.0]), np.array([0.4, 0.592, 0.592]))
    assert best == (12.1, 0.592)
    assert size_takeaway((4.6, 0.590), best) == "2.6 times smaller for 0.002 recall: 12.1 → 4.6 MB"
    assert size_takeaway((0.1, 0.190), best) == "121 times smaller for 0.402 recall: 12.1 → 0.1 MB"
    assert size_takeaway(best, best) == "The most it finds: recall 0.592 at 12.1 MB"
    assert size_takeaway((30.0, 0.582), best) == "2.5 times larger, 0.010 recall less: 12.1 → 30 MB"
    assert size_takeaway((12.1003, 0.492), best) == "0.100 recall less than the most it finds, at about its size: 12.1 MB"
    assert size_takeaway((4.6, 0.5), None) == size_takeaway((0.0, 0.0), best) == ""
    assert most_accurate(np.zeros(0), np.zeros(0)) is None


def test_recall_is_held_against_that_without_codes_where_it_is_known() -> None:
    assert accuracy_takeaway(0.57, 20.0, 0.6) == "95% of the recall without codes, 20 % of scores"
    assert accuracy_takeaway(0.57, 1.234, None) == "Recall 0.570 from 1.23 % of scores"


def test_memory_is_told_by_its_largest_share_and_codewords_by_their_even_use() -> None:
    assert memory_takeaway({"item_ids": 6.0, "scores": 5.88, "codes": 0.12}) == "99% of 12 MB are scores and their items"
    assert memory_takeaway({}) == ""
    assert usage_takeaway(np.array([60.0, 76.0]), 128) == "As even as 68 of 128 codewords used alike"
