"""Residual quantizer: every level quantizes what the levels before it left over (Chen et al., Sensors 10(12), 2010)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sparcode.config import QuantizerConfig
from sparcode.model.quantizer_base import Quantizer

# 64 MiB of float32: distances of a block of tokens, all sums in the beam times all codewords.
BLOCK_DISTANCES = 1 << 24


class ResidualQuantizer(Quantizer):
    """M levels (`n_codebooks`) of K codewords, added up, each of all D dimensions; composite codes as for the product quantizer."""

    is_residual = True

    def __init__(self, token_dim: int, config: QuantizerConfig) -> None:
        super().__init__(token_dim, config)

    @torch.no_grad()
    def nearest_codes(self, tokens: Tensor) -> Tensor:
        """P near composite codes of (N, D) tokens, nearest first: (N, P) int64.

        Found by a beam search that keeps the P nearest sums after each level: exact with one level, approximate with more; P = 1 is
        greedy. The order among the codes found is exact.
        """
        width = self.config.n_nearest * self.config.codebook_size
        return torch.cat([self.nearest_in_one_block(block) for block in tokens.split(max(1, BLOCK_DISTANCES // width))])

    def nearest_in_one_block(self, tokens: Tensor) -> Tensor:
        """As `nearest_codes`, all tokens at once."""
        size = self.config.codebook_size
        codes = torch.zeros(len(tokens), 1, dtype=torch.int64, device=tokens.device)
        rest = tokens[:, None]  # (N, beam, D), what the sums in the beam leave over
        for level, book in enumerate(self.codebooks):
            beam = codes.shape[1]
            distance = self._centres(level).squared_distances(rest.flatten(0, 1)).view(len(tokens), beam * size)
            order = distance.topk(min(self.config.n_nearest, beam * size), dim=1, largest=False).indices  # (N, next beam)
            parent, index = order // size, order % size
            codes = codes.gather(1, parent) + index * size**level
            rest = rest.gather(1, parent[:, :, None].expand(-1, -1, tokens.shape[1])) - book[index]
        return codes

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of composite codes, sums of their codewords: (...) int64 -> (..., D) float32."""
        return self._sum(self.decompose(codes))

    def _part(self, tokens: Tensor, before: Tensor) -> Tensor:
        return tokens - self._sum(before) if before.shape[1] else tokens

    def _sum(self, indices: Tensor) -> Tensor:
        """Sum of the codewords of the first levels: (..., m) int64, m at least 1 -> (..., D)."""
        # Unlike plain indexing, an embedding adds gradients up in the same order every time.
        total = F.embedding(indices[..., 0], self.codebooks[0])
        for level in range(1, indices.shape[-1]):
            total = total + F.embedding(indices[..., level], self.codebooks[level])
        return total
