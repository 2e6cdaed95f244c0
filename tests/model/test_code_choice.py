from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcode.config import QuantizerConfig
from sparcode.model import quantizer as quantizer_module
from sparcode.model.code_choice import choose_codes
from sparcode.model.quantizer import ProductQuantizer

FACTOR = np.float32(-0.5)


def chosen(distances: np.ndarray, n_nearest: int) -> np.ndarray:
    """(N, P) codes of (M, N, K) distances."""
    n_books, n_tokens, size = distances.shape
    codes = np.full((n_tokens, min(n_nearest, size**n_books)), -1, np.int64)
    books = np.zeros((n_books, size, 1), np.float32)
    choose_codes(np.zeros((n_tokens, n_books), np.float32), distances, books, FACTOR, codes, np.empty(codes.shape, np.float32), 0, n_tokens)
    return codes


def by_hand(distances: np.ndarray, n_nearest: int) -> np.ndarray:
    """The same by listing all K**M codes; whole numbers, so that sums are exact."""
    n_books, _, size = distances.shape
    codes = np.array([sum(index * size**book for book, index in enumerate(row)) for row in itertools.product(range(size), repeat=n_books)])
    sums = sum(distances[book][:, codes // size**book % size] for book in range(n_books))
    return np.sort(sums, axis=1)[:, :n_nearest]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 12), st.integers(1, 50), st.integers(0, 1 << 30))
def test_codes_are_the_nearest_of_all_each_once_and_in_order(n_books: int, size: int, n_nearest: int, highest: int, seed: int) -> None:
    distances = np.random.default_rng(seed).integers(-highest, highest, (n_books, 4, size)).astype(np.float32)
    codes = chosen(distances, n_nearest)
    sums = sum(np.take_along_axis(distances[book], codes // size**book % size, axis=1) for book in range(n_books))
    np.testing.assert_array_equal(sums, by_hand(distances, n_nearest))
    assert all(len(set(row)) == len(row) for row in codes.tolist())
    assert codes.min() >= 0
    assert codes.max() < size**n_books


def test_of_two_codewords_that_are_equally_near_the_first_comes_first() -> None:
    assert chosen(np.array([[[2, 1, 1, 2, 1]]], np.float32), 4).tolist() == [[1, 2, 4, 0]]


@pytest.mark.parametrize("n_nearest", [1, 3])
def test_distances_that_are_no_numbers_still_give_codes_that_exist(n_nearest: int) -> None:
    for distances in (np.full((2, 1, 4), np.nan, np.float32), np.full((2, 1, 4), np.inf, np.float32)):
        codes = chosen(distances, n_nearest)
        assert ((codes >= 0) & (codes < 16)).all()


@pytest.mark.parametrize("n_codebooks", [1, 2])
def test_blocks_and_threads_change_nothing(n_codebooks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = QuantizerConfig(n_codebooks=n_codebooks, codebook_size=8, n_nearest=3)
    quantizer, tokens = ProductQuantizer(6, config), torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    quantizer.fit(tokens, seed=0)
    quantizer.eval()
    codes, weights = quantizer.codes_and_weights(tokens)
    monkeypatch.setattr(quantizer_module, "SERVED_DISTANCES", 8 * n_codebooks * 64)
    monkeypatch.setattr(quantizer_module, "TOKENS_PER_THREAD", 8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        again = quantizer.codes_and_weights(tokens)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(again[0], codes)
    torch.testing.assert_close(again[1], weights, atol=0, rtol=1e-5)
    torch.testing.assert_close(weights.sum(1), torch.ones(200))
