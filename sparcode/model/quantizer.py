"""Product quantizer: tokens become discrete codes (SparCode, arXiv 2311.18213).

A token is cut into M sub-vectors; each goes to the nearest of K codewords, and the composite code is ``sum(index[m] * K**m)``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.config import QuantizerConfig
from sparcode.model.kmeans import MAX_DISTANCES, nearest_centres
from sparcode.model.quantizer_base import Quantizer


class ProductQuantizer(Quantizer):
    """M codebooks of K codewords of D / M dimensions, side by side.

    Parameters
    ----------
    token_dim
        D, a multiple of M.
    config
        Sizes and rates.
    """

    def __init__(self, token_dim: int, config: QuantizerConfig) -> None:
        if token_dim % config.n_codebooks:
            raise ValueError(f"token_dim={token_dim} must be a multiple of n_codebooks={config.n_codebooks}")
        super().__init__(token_dim // config.n_codebooks, config)

    def nearest_codes(self, tokens: Tensor) -> Tensor:
        """The P nearest composite codes of (N, D) tokens, nearest first: (N, P) int64.

        Exact without listing K**M codes: the P best sums of per-codebook distances only use the P best partial sums, so codebooks are
        merged one by one. Tokens go block by block, so that no distances of all of them to all codewords are held.
        """
        widest = max(self.config.codebook_size, self.config.n_nearest**2 if self.config.n_codebooks > 1 else 0)
        tokens = tokens.detach()  # cheaper than switching gradients off
        rows = max(1, MAX_DISTANCES // widest)
        if len(tokens) <= rows:
            return self._nearest_codes(tokens)
        return torch.cat([self._nearest_codes(block) for block in tokens.split(rows)])

    def _nearest_codes(self, tokens: Tensor) -> Tensor:
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
