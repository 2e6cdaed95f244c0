from __future__ import annotations

import math

import pytest

from app.charts.growth import FITTED, with_fitted
from app.measured.scale_words import answer, at_real_size, beside_rivals, found_text, headline, ratio_text, slope_text, time_of
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import at_enough
from sparcode.comparison.peers import FLAT, HNSW, IVF_FLAT, SPARCODE


def point(name: str, n_items: int, p50_ms: float, size_bytes: int, found: float = 1.0) -> GrowthPoint:
    share = 0.01 if name == SPARCODE else math.nan
    return GrowthPoint(name, "", n_items, share, found, size_bytes, 1.0, p50_ms, 0.01, 24)


# Time of exact two-tower grows as the items, SparCode's as their root: they meet at 10,000.
POINTS = [
    *(point(SPARCODE, n, 0.1 * (n / 10_000) ** 0.5, 300 * n, 0.97) for n in (1_000, 100_000, 1_000_000)),
    *(point(FLAT, n, 0.1 * n / 10_000, 100 * n) for n in (1_000, 100_000, 1_000_000)),
    point(HNSW, 100_000, 0.632, 150 * 100_000, 0.951),
]


# Shares kept, their time over that of `POINTS`, and the share found.
CHOICES = ((0.001, 0.1, 0.5), (0.01, 1.0, 0.95), (0.1, 10.0, 0.99))


def test_the_answer_names_crossing_ratios_and_share_found() -> None:
    assert answer(POINTS) == (
        "From about 12,000 items on SparCode answers sooner than exact two-tower and finds at least 95% of its own exact top 100: at "
        "1,000,000 items in 1/10 of its time (1 ms against 10 ms), with 3 times its memory, finding 97%."
    )


def test_the_headline_is_of_the_fewest_scores_that_find_enough() -> None:
    rows = [one._replace(share=share, p50_ms=one.p50_ms * factor, found=found) for one in POINTS[:3] for share, factor, found in CHOICES]
    assert headline([*rows, *POINTS[3:]]) == (
        "From about 12,000 items on SparCode, set to find 95% of its own exact top 100, answers sooner than exact two-tower: at "
        "1,000,000 items in 1/10 of its time (1 ms against 10 ms), with 3 times its memory."
    )


def test_a_size_at_which_no_share_finds_enough_is_not_called_so() -> None:
    rows = [one._replace(share=share, p50_ms=one.p50_ms * factor, found=found) for one in POINTS[:3] for share, factor, found in CHOICES]
    poor = [one._replace(found=min(one.found, 0.45)) if one.n_items == 1_000_000 else one for one in rows]
    said = headline([*poor, *POINTS[3:]])
    assert "SparCode, set to find 95% of its own exact top 100, answers sooner than exact two-tower: at 100,000 items" in said
    assert said.endswith(
        " At 1,000,000 items no measured share of SparCode's scores finds 95% of its own exact top 100; the most found is 45%."
    )
    never = [*(one._replace(found=min(one.found, 0.45)) for one in rows), *POINTS[3:]]
    assert headline(never).startswith("At 1,000, 100,000 and 1,000,000 items no measured share")
    assert FITTED not in [one.name for one in with_fitted(POINTS, never)]
    assert at_real_size(at_enough(never, 0.95), 1_000) == (
        "At 1,000 items, the real size, brute force is the right answer: exact two-tower takes 0.01 ms, and no measured share of "
        "SparCode's scores finds 95% of its own best."
    )


def test_every_size_is_every_size_measured() -> None:
    rows = [one._replace(share=share, p50_ms=0.001, found=found) for one in POINTS[:3] for share, _, found in CHOICES]
    poor = [one._replace(found=min(one.found, 0.45)) if one.n_items == 1_000 else one for one in rows]
    assert headline([*rows, *POINTS[3:]]).startswith("At every size measured SparCode, set to find 95%")
    said = headline([*poor, *POINTS[3:]])
    assert said.startswith("At 2 of the 3 sizes measured SparCode, set to find 95% of its own exact top 100, answers sooner")
    assert said.endswith("At 1,000 items no measured share of SparCode's scores finds 95% of its own exact top 100; the most found is 45%.")
    quick = [one._replace(p50_ms=0.001) if one.name == SPARCODE else one for one in POINTS]
    assert answer(quick[1:]).startswith("At 2 of the 3 sizes measured SparCode answers sooner")
    assert answer([*quick[:2], *quick[3:]]).endswith("finding 97%. At 1,000,000 items this share is not measured.")


def test_what_finds_too_little_does_not_pay_yet() -> None:
    founds = {1_000: 0.5, 100_000: 0.95 - 1e-9, 1_000_000: 0.99}
    poor = [one._replace(found=founds[one.n_items]) if one.name == SPARCODE else one for one in POINTS]
    assert answer(poor).startswith("From about 100,000 items on SparCode answers sooner than exact two-tower and finds at least 95%")
    never = [one._replace(found=0.9, p50_ms=one.p50_ms / 100) if one.name == SPARCODE else one for one in POINTS]
    assert answer(never).startswith("At every size measured SparCode answers sooner than exact two-tower: at")
    assert answer(never).endswith("finding 90% of its own exact top 100.")
    assert "brute force is the right answer" in at_real_size(never, 1_000)


def test_where_it_does_not_cross_the_answer_says_so() -> None:
    slow = [one._replace(p50_ms=100.0) if one.name == SPARCODE else one for one in POINTS]
    assert answer(slow) == ("At 1,000,000 items exact two-tower answers sooner than SparCode: SparCode takes 100 ms against 10 ms.")
    quick = [one._replace(p50_ms=0.001, size_bytes=one.n_items) if one.name == SPARCODE else one for one in POINTS]
    assert answer(quick).startswith(
        "At every size measured SparCode answers sooner than exact two-tower and finds at least 95% of its own exact top 100: at "
        "1,000,000 items in 1/10,000"
    )
    assert "with 1/100 of its memory" in answer(quick)
    assert answer([]) == ""
    assert answer(POINTS[3:]) == ""


def test_at_the_real_size_brute_force_may_be_the_right_answer() -> None:
    assert at_real_size(POINTS, 1_000) == (
        "At 1,000 items, the real size, brute force is the right answer: exact two-tower takes 0.01 ms, SparCode "
        "0.0316 ms and finds 97% of its own best."
    )
    assert at_real_size(POINTS, 100_000) == (
        "At 100,000 items, the real size, exact two-tower takes 1 ms, SparCode 0.316 ms and finds 97% of its own best: 1/3.2 of the time."
    )
    quick = [one._replace(p50_ms=one.p50_ms / 10) for one in POINTS]
    assert at_real_size(quick, 100_000).endswith("too little to matter, since a query's fixed costs are most of it.")
    assert at_real_size(POINTS, 500) == ""


def test_hnsw_and_ivf_stand_beside_it_with_what_they_find() -> None:
    assert beside_rivals(POINTS) == (
        "Beside HNSW at 100,000 items, which finds 95%: 1/2 of its time (0.316 ms against 0.632 ms), 2 times its memory."
    )
    both = beside_rivals([*POINTS, point(IVF_FLAT, 1_000_000, 1.02, 100 * 1_000_000, 0.96)])
    assert both.endswith("beside IVF-Flat at 1,000,000 items, which finds 96%: the same time (1 ms against 1.02 ms), 3 times its memory.")
    assert beside_rivals(POINTS[:-1]) == ""


def test_a_difference_within_noise_is_not_sooner() -> None:
    near = [one._replace(p50_ms=one.p50_ms * 0.95) if one.name == SPARCODE else one._replace(p50_ms=0.1) for one in POINTS]
    level = [one._replace(p50_ms=0.095 if one.name == SPARCODE else 0.1) for one in near]
    assert answer(level) == (
        "At 1,000,000 items noise does not tell SparCode and exact two-tower apart: SparCode takes 0.095 ms against 0.1 ms."
    )
    assert "brute force is the right answer" in at_real_size(level, 1_000)


def test_times_between_measured_shares_are_marked() -> None:
    between = [one._replace(setting="≈ 1% of scores") if one.name == SPARCODE else one for one in POINTS]
    assert "(≈ 1 ms against 10 ms)" in answer(between)
    assert "SparCode ≈ 0.0316 ms" in at_real_size(between, 1_000)


def test_slopes_are_of_large_sizes_only() -> None:
    assert [slope_text(POINTS, name, time_of) for name in (SPARCODE, FLAT, HNSW)] == ["0.50", "1.00", "–"]


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.02, "the same"), (0.5, "1/2"), (0.0026, "1/385"), (7.44, "7.4 times"), (1234.0, "1,234 times")]
)
def test_ratios_in_words(ratio: float, words: str) -> None:
    assert ratio_text(ratio) == words


def test_a_share_is_never_rounded_up_to_all() -> None:
    assert [found_text(share) for share in (1.0, 0.999, 0.954, 0.0)] == ["100%", "99%", "95%", "0%"]
