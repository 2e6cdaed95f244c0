from __future__ import annotations

import numpy as np
import pytest

from app.measured import threshold_stops as stops_module
from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS, coarse_to_fine, percent_text, threshold_stops
from sparcode.config import TrainingConfig
from sparcode.index.inverted_index import InvertedIndex
from tests.tiny import tiny_index, tiny_model

N_ITEMS = 100


def planted_index(shuffled: np.random.Generator, n_lists: int = 20, stored_share: float = 0.6) -> InvertedIndex:
    """An index whose scores are all different: of all (list, item) pairs the best `stored_share`, dealt out to lists."""
    n_scores = round(stored_share * n_lists * N_ITEMS)
    scores = np.sort(shuffled.permutation(np.arange(1, n_scores + 1)).reshape(n_lists, -1), axis=1)[:, ::-1]
    per_list = scores.shape[1]
    return InvertedIndex(
        codes=np.arange(n_lists),
        indptr=np.arange(n_lists + 1) * per_list,
        item_ids=np.tile(np.arange(per_list, dtype=np.int32), n_lists),
        scores=scores.astype(np.float32).ravel(),
        n_items=N_ITEMS,
        floor=0.0,
    )


def test_every_stop_keeps_the_share_it_names() -> None:
    index = planted_index(np.random.default_rng(0))
    stops = threshold_stops(index, default_threshold=800.0)
    n_pairs = index.n_lists * N_ITEMS
    for percent, tau in zip(KEPT_PERCENTS, stops, strict=True):
        if percent != DEFAULT_PERCENT:
            # Scores are whole numbers 1 to n, so the rank of tau is certain; the last stops meet the planted default.
            assert index.density(tau) == pytest.approx(round(float(percent) / 100 * n_pairs) / n_pairs, abs=1e-12)


def test_the_default_stop_is_the_trained_threshold_itself() -> None:
    stops = threshold_stops(tiny_index(), tiny_model().threshold)
    at = KEPT_PERCENTS.index(percent_text(TrainingConfig().density))
    assert KEPT_PERCENTS[at] == DEFAULT_PERCENT
    # The tiny model keeps another share than the default settings, so that its neighbours are moved to keep the order.
    assert stops[at] >= tiny_model().threshold
    assert stops[at] == np.maximum(tiny_model().threshold, stops[at - 1])


def test_stops_ascend_and_stay_above_the_floor() -> None:
    index = tiny_index()
    stops = threshold_stops(index, tiny_model().threshold)
    assert len(stops) == len(KEPT_PERCENTS)
    assert np.all(np.diff(stops) >= 0)
    assert stops[0] >= index.floor


def test_an_index_that_stores_less_than_a_stop_asks_for_gives_its_floor() -> None:
    index = planted_index(np.random.default_rng(1), stored_share=0.2)
    stops = threshold_stops(index, default_threshold=350.0)
    too_much = np.array([float(percent) > 20 for percent in KEPT_PERCENTS])
    assert too_much.any()
    assert np.all(stops[too_much] == index.floor)


def test_an_empty_index_has_its_floor_for_every_stop() -> None:
    empty = InvertedIndex(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), N_ITEMS, 0.5)
    assert np.array_equal(threshold_stops(empty, 0.7), np.full(len(KEPT_PERCENTS), 0.5))


def test_a_sample_of_a_huge_index_places_stops_nearly_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    index = planted_index(np.random.default_rng(2), n_lists=50)
    whole = threshold_stops(index, 2400.0)
    monkeypatch.setattr(stops_module, "MAX_SORTED_SCORES", 1000)
    sampled = threshold_stops(index, 2400.0)
    assert not np.array_equal(sampled, whole)
    n_scores = len(index.scores)
    assert np.abs(sampled - whole).max() < 0.05 * n_scores


def test_shares_fall_from_half_to_a_thousandth_and_the_default_is_one() -> None:
    shares = np.array([float(percent) for percent in KEPT_PERCENTS])
    assert np.all(np.diff(shares) < 0)
    assert (shares[0], shares[-1]) == (50, 0.1)
    assert DEFAULT_PERCENT in KEPT_PERCENTS


@pytest.mark.parametrize(("share", "text"), [(0.2, "20"), (0.00123456, "0.123"), (0.5, "50"), (1.0, "100")])
def test_a_share_reads_as_percent_with_three_digits(share: float, text: str) -> None:
    assert percent_text(share) == text


@pytest.mark.parametrize("n_stops", [1, 2, 16, 17, 101])
def test_coarse_to_fine_names_every_stop_once_ends_first(n_stops: int) -> None:
    rounds = coarse_to_fine(n_stops)
    assert np.array_equal(np.sort(np.concatenate(rounds)), np.arange(n_stops))
    assert {0, n_stops - 1} <= set(rounds[0].tolist())
    assert all(np.all(np.diff(positions) > 0) for positions in rounds)
