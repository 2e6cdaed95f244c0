"""Product quantizer: tokens become discrete codes (SparCode, arXiv 2311.18213).

A token is cut into M sub-vectors; each goes to the nearest of K codewords, and the composite code is ``sum(index[m] * K**m)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.config import QuantizerConfig
from sparcode.device import in_chunks
from sparcode.model.encoding_kernels import choose_codes
from sparcode.model.kmeans import MAX_DISTANCES, nearest_centres
from sparcode.model.quantizer_base import TOKENS_PER_THREAD, PreparedCodebooks, Quantizer

# 4 MiB of float32, so that distances are still in cache when codes are chosen by them.
SERVED_DISTANCES = 1 << 20


class _KernelArrays(NamedTuple):
    """Arguments of `choose_codes` made from the prepared codebooks."""

    prepared: PreparedCodebooks
    doubled: Tensor  # (M, D / M, K), minus two times the codewords
    squares: Tensor  # (M, 1, K), their squared lengths
    codebooks: np.ndarray  # (M, K, D / M)
    factor: np.float32

    @classmethod
    def of(cls, prepared: PreparedCodebooks) -> _KernelArrays:
        books = torch.stack(prepared.codebooks)
        squares = torch.stack([centres.squares for centres in prepared.centres])[:, None]
        factor = np.float32(1 / float(prepared.minus_temperature))
        return cls(prepared, (-2 * books).transpose(1, 2), squares, books.numpy(), factor)


class ProductQuantizer(Quantizer):
    """M codebooks of K codewords of D / M dimensions, side by side; D must be a multiple of M."""

    def __init__(self, token_dim: int, config: QuantizerConfig) -> None:
        if token_dim % config.n_codebooks:
            raise ValueError(f"token_dim={token_dim} must be a multiple of n_codebooks={config.n_codebooks}")
        super().__init__(token_dim // config.n_codebooks, config)
        self._arrays: _KernelArrays | None = None

    def _by_loops(self, tokens: Tensor) -> tuple[np.ndarray, np.ndarray] | None:
        found = super()._by_loops(tokens)
        if found is not None or self.training or tokens.dtype != torch.float32 or not tokens.is_cpu:
            return found
        # Distances to large codebooks are matrix products of PyTorch's.
        arrays, tokens, n_tokens = self._kernel_arrays(), tokens.contiguous(), len(tokens)
        n_books, size, _ = arrays.codebooks.shape
        codes, weights = self.empty_codes(n_tokens)
        rows = max(1, SERVED_DISTANCES // (n_books * size))
        if n_tokens <= rows:
            _choose(tokens, arrays, codes, weights)
            return codes, weights
        for start in range(0, n_tokens, rows):
            block = slice(start, start + rows)
            _choose(tokens[block], arrays, codes[block], weights[block])
        return codes, weights

    def _kernel_arrays(self) -> _KernelArrays:
        prepared = self._prepared_codebooks()
        if self._arrays is None or self._arrays.prepared is not prepared:
            self._arrays = _KernelArrays.of(prepared)
        return self._arrays

    def nearest_codes(self, tokens: Tensor) -> Tensor:
        """The P nearest composite codes of (N, D) tokens, nearest first: (N, P) int64.

        Exact: codebooks are merged as in `choose_codes`. Tokens go block by block to bound the distances held in memory.
        """
        widest = max(self.config.codebook_size, self.config.n_nearest**2 if self.config.n_codebooks > 1 else 0)
        tokens = tokens.detach()  # cheaper than switching gradients off
        rows = max(1, MAX_DISTANCES // widest)
        if len(tokens) <= rows:
            return self.nearest_in_one_block(tokens)
        return torch.cat([self.nearest_in_one_block(block) for block in tokens.split(rows)])

    def nearest_in_one_block(self, tokens: Tensor) -> Tensor:
        """As `nearest_codes`, all tokens at once."""
        size, n_nearest = self.config.codebook_size, self.config.n_nearest
        if self.config.n_codebooks == 1:
            return self._centres(0).squared_distances(tokens).topk(min(n_nearest, size), dim=1, largest=False).indices
        nearest = [
            self._centres(book).squared_distances(parts).topk(min(n_nearest, size), dim=1, largest=False)
            for book, parts in enumerate(self._parts(tokens))
        ]
        best, codes = nearest[0]
        for book, (distance, index) in enumerate(nearest[1:], start=1):
            sums = (best[:, :, None] + distance[:, None, :]).flatten(1)
            merged = (codes[:, :, None] + index[:, None, :] * size**book).flatten(1)
            best, order = sums.topk(min(n_nearest, sums.shape[1]), dim=1, largest=False)
            codes = merged.gather(1, order)
        return codes

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of composite codes, codewords side by side: (...) int64 -> (..., D) float32."""
        if self.config.n_codebooks == 1:
            return F.embedding(codes, self.codebooks[0])
        indices = self.decompose(codes)
        # Unlike plain indexing, an embedding adds gradients up in the same order every time.
        books = [F.embedding(indices[..., book], self.codebooks[book]) for book in range(self.config.n_codebooks)]
        return torch.cat(books, dim=-1)

    def _part(self, tokens: Tensor, before: Tensor) -> Tensor:
        return self._parts(tokens)[before.shape[1]]

    def _parts(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return (tokens,) if self.config.n_codebooks == 1 else tokens.chunk(self.config.n_codebooks, dim=-1)

    def _indices(self, tokens: Tensor) -> Tensor:
        parts = self._parts(tokens)
        return torch.stack([nearest_centres(part, book) for part, book in zip(parts, self.codebooks, strict=True)], dim=1)


def _choose(tokens: Tensor, arrays: _KernelArrays, codes: np.ndarray, weights: np.ndarray) -> None:
    """Write the nearest codes of (N, D) tokens and their weights, (N, P) each."""
    n_books, _, part = arrays.codebooks.shape
    parts = tokens[None] if n_books == 1 else tokens.view(-1, n_books, part).transpose(0, 1)  # (M, N, D / M)
    distances = torch.baddbmm(arrays.squares, parts, arrays.doubled).numpy()  # (M, N, K), less the squared lengths of the parts
    of_tokens = tokens.numpy()
    if len(of_tokens) <= TOKENS_PER_THREAD:
        choose_codes(of_tokens, distances, arrays.codebooks, arrays.factor, codes, weights, 0, len(of_tokens))
        return

    def choose(start: int, stop: int) -> None:
        choose_codes(of_tokens, distances, arrays.codebooks, arrays.factor, codes, weights, start, stop)

    in_chunks(len(of_tokens), choose, TOKENS_PER_THREAD)
