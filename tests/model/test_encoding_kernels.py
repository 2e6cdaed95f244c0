from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparcode.config import ModelConfig, QuantizerConfig
from sparcode.data.interactions import Histories, offsets
from sparcode.model import encoding_kernels, quantizer_base
from sparcode.model import quantizer as quantizer_module
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.encoding_kernels import choose_codes, merge_codes
from sparcode.model.quantizer import ProductQuantizer
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from tests.tiny import queries_of

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
@pytest.mark.parametrize("small", [0, 1 << 18])
def test_blocks_and_threads_change_nothing(n_codebooks: int, small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizer_base, "SMALL_CODEBOOKS", small)
    config = QuantizerConfig(n_codebooks=n_codebooks, codebook_size=8, n_nearest=3)
    quantizer, tokens = ProductQuantizer(6, config), torch.randn(200, 6, generator=torch.Generator().manual_seed(0))
    quantizer.fit(tokens, seed=0)
    quantizer.eval()
    codes, weights = quantizer.codes_and_weights(tokens)
    monkeypatch.setattr(quantizer_module, "SERVED_DISTANCES", 8 * n_codebooks * 64)
    for module in (quantizer_module, quantizer_base):
        monkeypatch.setattr(module, "TOKENS_PER_THREAD", 8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        again = quantizer.codes_and_weights(tokens)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(again[0], codes)
    torch.testing.assert_close(again[1], weights, atol=0, rtol=1e-5)
    torch.testing.assert_close(weights.sum(1), torch.ones(200))


def test_tanh_is_that_of_numpy_and_nan_stays() -> None:
    values = np.concatenate([np.linspace(-12, 12, 4001), np.logspace(-30, 1, 200), [-np.inf, np.inf, 0, np.nan]]).astype(np.float32)
    expected = np.tanh(values.astype(np.float64))
    encoding_kernels._tanh(values)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=0)


@given(st.integers(1, 9), st.integers(0, 37), st.integers(0, 1 << 20))
def test_products_of_any_size_are_those_of_numpy(n_rows: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, vector, out = (rng.normal(size=shape).astype(np.float32) for shape in ((n_rows, width), width, n_rows))
    expected = out + rows.astype(np.float64) @ vector
    encoding_kernels._add_products(rows, vector, out)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@given(st.lists(st.integers(0, 6), max_size=19), st.integers(1, 5), st.integers(0, 1 << 20))
def test_a_pool_is_the_sum_over_the_root_of_the_length(items: list[int], width: int, seed: int) -> None:
    embedding = np.random.default_rng(seed).normal(size=(7, width)).astype(np.float32)
    pooled = np.full(width, np.nan, np.float32)
    encoding_kernels._pool(embedding, np.array(items, np.int32), pooled)
    expected = embedding[np.array(items, int)].sum(0, dtype=np.float64) / np.sqrt(max(1, len(items)))
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-6)


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(0, 4), min_size=4, max_size=4), st.integers(0, 1 << 20)
)
def test_merged_rows_hold_every_code_once_with_all_its_weight(n_rows: int, n_heads: int, width: int, history: list[int], seed: int) -> None:
    rng, starts = np.random.default_rng(seed), offsets(history[:n_rows])
    shape = (n_rows * n_heads + int(starts[-1]), width)
    codes, weights = rng.integers(0, 6, shape), rng.random(shape).astype(np.float32)
    gates = rng.random(int(starts[-1])).astype(np.float32)
    room = (n_heads + max(history[:n_rows])) * width
    found, shares = np.empty((n_rows, room), np.int64), np.empty((n_rows, room), np.float32)
    longest = merge_codes(codes, weights, gates, starts, found, shares)
    lengths = []
    for row in range(n_rows):
        sums: dict[int, float] = {}
        for token in range(row * n_heads, (row + 1) * n_heads):
            for code, weight in zip(codes[token], weights[token], strict=True):
                sums[int(code)] = sums.get(int(code), 0.0) + weight
        for token in range(starts[row], starts[row + 1]):
            for code, weight in zip(codes[n_rows * n_heads + token], weights[n_rows * n_heads + token], strict=True):
                sums[int(code)] = sums.get(int(code), 0.0) + weight * gates[token]
        lengths.append(len(sums))
        assert found[row].tolist() == sorted(sums) + [min(sums)] * (room - len(sums))
        np.testing.assert_allclose(shares[row], [*(sums[code] for code in sorted(sums)), *[0] * (room - len(sums))], rtol=1e-5)
    assert longest == max(lengths)


def test_every_call_uses_the_code_compiled_by_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    encoding_kernels.warm_up()
    queries = queries_of(9)
    for fields in ({}, {"side_features": "users"}, {"history_tokens": 3}):
        for kind in ("product", "residual"):
            n_features = 2 if fields.get("side_features") else 0
            backbone = AllToAllModel(9, ModelConfig(hidden_dim=8, token_dim=6, **fields), 0.0, n_features)
            network = SparCodeModel(backbone, QuantizerConfig(kind=kind, codebook_size=3)).eval()
            network.encode(Histories(queries.indptr, queries.items, 9, np.ones((4, n_features)) if n_features else None))
    TwoTowerModel(9, ModelConfig(hidden_dim=8, token_dim=6)).eval().query_vectors(queries)
    monkeypatch.setattr(quantizer_base, "SMALL_CODEBOOKS", 0)
    ProductQuantizer(6, QuantizerConfig(codebook_size=3)).eval().codes_and_weights(torch.randn(20, 6))
    for name in ("choose_codes", "nearest_codes", "encode_codes", "encode_tokens", "history_tokens", "merge_codes"):
        assert len(getattr(encoding_kernels, name).signatures) == 1, name
