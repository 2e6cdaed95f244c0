from __future__ import annotations

import pytest

from app.measured.rivals import rivals, so_what, suffices, takeaways
from sparcode.comparison.measuring import UNTIMED, Measurement
from sparcode.comparison.peers import ALL_TO_ALL, EASE_NAME, FLAT, HNSW, SPARCODE
from tests.fakes import served

OURS = [
    served(SPARCODE, "2% of scores", 0.40, 0.10, 1_000_000),
    served(SPARCODE, "10% of scores", 0.595, 0.20, 2_000_000),
    served(SPARCODE, "50% of scores", 0.60, 0.40, 8_000_000),
]


def sentence(*others: Measurement) -> str:
    return so_what(rivals([*OURS, *others]), 1200)


def test_rows_are_ordered_by_recall_and_stand_at_their_least_effort_near_their_best() -> None:
    rows = rivals([*OURS, served(HNSW, "ef 16", 0.5, 0.1), served(HNSW, "ef 64", 0.58, 0.3), served(EASE_NAME, "", 0.7, 0.5)])
    assert [row.point.label for row in rows] == [EASE_NAME, f"{SPARCODE}, 10% of scores", f"{HNSW}, ef 64"]
    assert [row.is_sparcode for row in rows] == [False, True, False]


def test_a_cell_says_how_the_rival_stands_beyond_the_noise() -> None:
    rows = {
        row.point.name: row for row in rivals([*OURS, served(EASE_NAME, "", 0.7, 0.5, 1_000_000), served(FLAT, "", 0.5, 0.1, 2_050_000)])
    }
    assert rows[EASE_NAME][1:4] == ("better", "worse", "better")
    assert rows[FLAT][1:4] == ("worse", "better", "same")
    assert rows[SPARCODE][1:4] == ("same", "same", "same")
    noisy = rivals([*OURS, served(EASE_NAME, "", 0.6, 0.2, spread=0.3)])
    assert {row.point.name: row for row in noisy}[EASE_NAME][1:3] == ("same", "same")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (served(EASE_NAME, "", 0.70, 0.1), ["At 1,200 items brute force is the right answer", "EASE", "finds more", "2.0 times as fast"]),
        (served(EASE_NAME, "", 0.595, 0.2), ["brute force is the right answer", "finds no less and", "as fast within the noise"]),
        (
            served(ALL_TO_ALL, "", 0.70, 2.0),
            ["right answer where 2 ms a query are fast enough", "all-to-all, which", "finds 0.105 more", "SparCode is 10 times"],
        ),
        (served(FLAT, "", 0.50, 0.1), ["SparCode finds the most", "two-tower Flat is 2.0 times as fast", "0.095 less recall"]),
        (served(FLAT, "", 0.50, 0.4), ["SparCode is the right answer", "2.0 times as fast as two-tower Flat"]),
    ],
)
def test_one_sentence_says_what_follows(other: Measurement, words: list[str]) -> None:
    text = sentence(other)
    assert all(word in text for word in words), text


def test_of_several_slower_ones_that_find_more_the_soonest_is_named() -> None:
    text = sentence(served(ALL_TO_ALL, "", 0.70, 2.0), served(EASE_NAME, "", 0.65, 0.6))
    assert "where 0.6 ms a query are fast enough" in text
    assert "EASE, which scores every item, finds 0.055 more; SparCode is 3.0 times as fast" in text


def test_of_several_that_suffice_the_most_accurate_is_named() -> None:
    assert "EASE" in sentence(served(FLAT, "", 0.65, 0.1), served(EASE_NAME, "", 0.7, 0.15), served(ALL_TO_ALL, "", 0.8, 3.0))


def test_approximate_search_is_no_brute_force() -> None:
    assert sentence(served(HNSW, "ef 64", 0.9, 0.01)) == ""


def test_charts_say_what_the_most_accurate_takes() -> None:
    rows = rivals([*OURS, served(ALL_TO_ALL, "", 0.70, 2.0, 100_000)])
    assert takeaways(rows) == (
        "all-to-all finds 0.105 more than SparCode, in 10 times the time",
        "all-to-all finds 0.105 more than SparCode, in 5% of the memory",
    )
    best = takeaways(rivals([*OURS, served(FLAT, "", 0.5, 0.1)]))
    assert best == ("SparCode finds the most: recall 0.595 in 0.200 ms", "SparCode finds the most: recall 0.595 in 2 MB")
    assert takeaways([]) == ("", "")


def test_a_difference_within_noise_is_not_said_to_be_more_or_less() -> None:
    # Slower, and above SparCode by less than two standard errors.
    above = served(EASE_NAME, "", 0.605, 0.5, spread=0.1)
    rows = rivals([*OURS, above, served(FLAT, "", 0.5, 0.1)])
    assert [row.point.name for row in rows] == [EASE_NAME, SPARCODE, FLAT]
    assert rows[0].noise == pytest.approx(0.0201, abs=1e-4)
    assert takeaways(rows)[0] == "No way finds more than SparCode beyond noise (±0.020): recall 0.595 in 0.200 ms"
    said = so_what(rows, 1200)
    assert "At 1,200 items no way finds more than SparCode beyond noise (±0.020), and two-tower Flat is 2.0 times as fast" in said
    assert "no model that scores every item finds more beyond noise (±0.020)" in sentence(above)
    within = so_what(rivals([*OURS, above._replace(p50_ms=OURS[0].p50_ms)]), 1200)
    assert "EASE, which scores every item, finds no less beyond noise (±0.020)" in within


@pytest.mark.parametrize(
    ("recall", "milliseconds", "is_enough"), [(0.7, 0.1, True), (0.7, 2.0, False), (0.5, 0.1, False), (0.595, 0.2, True)]
)
def test_brute_force_suffices_where_it_is_worse_in_neither(recall: float, milliseconds: float, is_enough: bool) -> None:
    assert bool(suffices(rivals([*OURS, served(EASE_NAME, "", recall, milliseconds)]))) is is_enough


def test_nothing_is_said_before_times_are_known() -> None:
    untimed = [point._replace(n_rounds=0, p50_ms=UNTIMED) for point in OURS]
    assert rivals(untimed) == []
    assert so_what([], 1200) == ""
