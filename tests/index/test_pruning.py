from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sparcode.index import pruning
from sparcode.index.block_index import BlockIndex, shift_for
from sparcode.index.index_builder import build_index
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import (
    Cut,
    FitBytes,
    GlobalThreshold,
    KeepDensity,
    TopPerList,
    as_served,
    ascending_bits,
    bytes_as,
    floor_for_density,
    scores_of_bits,
    threshold_for_postings,
)
from tests.fakes import TableModel


def model_with(seed: int, spread: int) -> TableModel:
    table = np.random.default_rng(seed).integers(-spread, spread + 1, size=(5, 8)) / 8
    return TableModel(table)


seeds, spreads = st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 4, 10_000])


@given(seed=seeds, spread=spreads, n_kept=st.integers(0, 45), floor=st.sampled_from([-np.inf, -0.2, 0.0, 1e9]))
def test_it_is_the_lowest_threshold_that_keeps_so_few(seed: int, spread: int, n_kept: int, floor: float) -> None:
    index = build_index(model_with(seed, spread), np.arange(5), floor, 2)
    threshold = threshold_for_postings(index, n_kept)
    assert np.isfinite(threshold)
    assert threshold == float(np.float32(threshold))
    kept = int((index.scores > threshold).sum())
    assert index.kept_postings(threshold) == kept <= n_kept
    below = float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))
    if kept < len(index.scores):
        assert (index.scores > below).sum() > n_kept
    elif np.isfinite(floor):
        assert threshold == index.floor


def test_density_and_bytes_of_distinct_scores_are_met_exactly() -> None:
    model = TableModel(np.random.default_rng(0).normal(size=(10, 100)))
    index = build_index(model, np.arange(10), -np.inf, 4)
    for density in (0.0, 0.05, 0.2, 0.731, 1.0):
        assert index.density(KeepDensity(density).threshold(index)) == pytest.approx(density, abs=5e-4)
    for max_bytes in (168, 175, 176, 1000, 4321, 10**6):
        size = sum(index.size_bytes(FitBytes(max_bytes).threshold(index)).values())
        assert size <= max_bytes
        assert size + 8 > min(max_bytes, 168 + 8 * 1000)


def test_lists_of_items_have_no_part_in_a_density() -> None:
    table = np.random.default_rng(0).normal(size=(10, 100))
    # Codes from 6 on are of items, with one score each.
    table[6:, 1:] = -np.inf
    index = build_index(TableModel(table), np.arange(10), -np.inf, 4)
    for density in (0.05, 0.5, 1.0):
        threshold = KeepDensity(density, below=6).threshold(index)
        assert index.below(6).density(threshold) == pytest.approx(density, abs=2e-3)
        assert index.below(6).density(threshold) == (table[:6] > threshold).mean()


def test_a_denser_wish_than_the_index_holds_gives_its_floor() -> None:
    index = build_index(model_with(0, 4), np.arange(5), 0.25, 2)
    assert KeepDensity(1.0).threshold(index) == 0.25


def test_an_index_without_postings_has_a_threshold() -> None:
    assert KeepDensity(0.5).threshold(build_index(model_with(0, 4), np.arange(5), 77.0, 2)) == 77.0
    assert KeepDensity(0.5).threshold(build_index(model_with(0, 4), [], -np.inf, 2)) == 0.0


@pytest.mark.parametrize("density", [-0.1, 1.1, np.nan])
def test_impossible_densities_are_refused(density: float) -> None:
    with pytest.raises(ValueError, match="density must lie in"):
        KeepDensity(density)
    with pytest.raises(ValueError, match="density must lie in"):
        floor_for_density(model_with(0, 4), np.arange(5), density, 2)


def test_a_budget_below_the_empty_lists_is_refused() -> None:
    index = build_index(model_with(0, 4), np.arange(5), 0.0, 2)
    with pytest.raises(ValueError, match="at least 88, what 5 empty lists take; got 87"):
        FitBytes(87).threshold(index)
    assert index.kept_postings(FitBytes(88).threshold(index)) == 0


@given(seed=seeds, spread=spreads, density=st.floats(0.01, 1), with_gaps=st.booleans())
def test_a_floor_keeps_the_share_but_for_ties(seed: int, spread: int, density: float, with_gaps: bool) -> None:
    model = model_with(seed, spread)
    if with_gaps:
        model.table[:, ::3] = -np.inf
    floor = floor_for_density(model, [0, 1, 4, 1], density, 2)
    scores = model.table[[0, 1, 4]]
    n_kept = round(density * scores.size)
    assert np.isfinite(floor)
    assert (scores > floor).sum() <= n_kept
    below = np.nextafter(np.float32(floor), np.float32(-np.inf))
    assert (scores > below).sum() > n_kept or (scores > floor).sum() == np.isfinite(scores).sum()


def test_a_large_table_is_sampled_with_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TableModel(np.random.default_rng(0).normal(size=(400, 50)))
    exact = floor_for_density(model, np.arange(400), 0.2, 64)
    model.scored.clear()
    monkeypatch.setattr(pruning, "MAX_SAMPLED_SCORES", 100 * 50)
    sampled = floor_for_density(model, np.arange(400), 0.2, 64, seed=3)
    assert sum(map(len, model.scored)) == 100
    assert sampled == floor_for_density(model, np.arange(400), 0.2, 64, seed=3)
    assert sampled != floor_for_density(model, np.arange(400), 0.2, 64, seed=4)
    assert sampled == pytest.approx(exact, abs=0.1)


def test_a_floor_needs_scores() -> None:
    with pytest.raises(ValueError, match="no finite score"):
        floor_for_density(model_with(0, 4), [], 0.5, 2)
    with pytest.raises(ValueError, match="no finite score"):
        floor_for_density(TableModel(np.full((2, 3), -np.inf)), [0, 1], 0.5, 2)


def test_a_global_threshold_is_one_the_index_can_serve() -> None:
    index = build_index(model_with(0, 4), np.arange(5), 0.25, 2)
    assert GlobalThreshold(0.25).cut(index) == Cut(0.25)
    for tau in (0.1, np.nan):
        with pytest.raises(ValueError, match="threshold must be"):
            GlobalThreshold(tau).cut(index)


@given(seed=seeds, spread=spreads, n_postings=st.sampled_from([1, 2, 3, 5, 8, 9, 2**63 - 1]))
def test_no_list_is_longer_than_allowed_and_none_shorter_than_it_must_be(seed: int, spread: int, n_postings: int) -> None:
    index = build_index(model_with(seed, spread), np.arange(5), -0.2, 2)
    for rule, threshold in ((TopPerList(n_postings), index.floor), (TopPerList(n_postings, 0.1), 0.1)):
        cut = rule.cut(index)
        assert cut.threshold == pytest.approx(threshold)
        expected = np.minimum((index.list_lengths(threshold)), n_postings)
        assert index.list_lengths(*cut).tolist() == expected.tolist()
        for postings in ("blocked", "quantized"):
            served = as_served(index, cut, postings)
            assert isinstance(served, BlockIndex)
            assert np.diff(served.indptr).tolist() == expected.tolist()
            assert served.per_list == min(n_postings, index.n_items)


def test_a_list_keeps_at_least_one() -> None:
    with pytest.raises(ValueError, match="n_postings must be at least 1; got 0"):
        TopPerList(0)


@given(seed=seeds, spread=spreads, room=st.integers(0, 600), postings=st.sampled_from(["float32", "blocked", "quantized"]))
def test_a_budget_is_met_by_what_is_served(seed: int, spread: int, room: int, postings: str) -> None:
    index = build_index(model_with(seed, spread), np.arange(5), -0.2, 2)
    budget = sum(bytes_as(postings, index, 0).values()) + room
    cut = FitBytes(budget, postings).cut(index)
    served = as_served(index, cut, postings)
    size = served.size_bytes() if isinstance(served, BlockIndex) else served.size_bytes(*cut)
    assert size == bytes_as(postings, index, index.kept_postings(*cut))
    assert sum(size.values()) <= budget
    # One step lower would be too much, or is not stored.
    below = float(np.nextafter(np.float32(cut.threshold), np.float32(-np.inf)))
    if below >= index.floor and len(index.scores):
        assert sum(bytes_as(postings, index, index.kept_postings(below)).values()) > budget


@pytest.mark.parametrize("postings", ["blocked", "quantized"])
def test_more_postings_never_take_fewer_bytes(postings: str) -> None:
    empty = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
    index = InvertedIndex(np.arange(300), np.zeros(301, dtype=np.int64), *empty, 1_000_000, 0.0)
    counts = np.linspace(0, 30_000_000, 400).astype(int)
    assert len({shift_for(1_000_000, 300, count) for count in counts}) > 2
    sizes = [sum(bytes_as(postings, index, int(count)).values()) for count in counts]
    assert (np.diff(sizes) > 0).all()


@given(arrays.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32, allow_nan=False)))
def test_bits_sort_as_the_numbers_do_and_lead_back(scores: np.ndarray) -> None:
    bits = ascending_bits(scores)
    np.testing.assert_array_equal(bits[:, None] < bits, scores[:, None] < scores)
    np.testing.assert_array_equal(scores_of_bits(bits), scores)
