"""Product quantizer: tokens become discrete codes (SparCode, arXiv 2311.18213).

A token is cut into M sub-vectors; each goes to the nearest of K codewords, and the composite code is ``sum(index[m] * K**m)``. Besides the
nearest code a token may take its several nearest ones with softmax weights, which gives the encoder a smooth gradient through the weights.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import QuantizerConfig


class Quantized(NamedTuple):
    """What the quantizer makes of (N, D) tokens.

    Attributes
    ----------
    quantized
        (N, D) nearest codeword vector, with a straight-through gradient to the token.
    codes
        (N, P) int64 composite codes, nearest first.
    weights
        (N, P) float32, softmax of minus squared distance over temperature; sums to 1. All ones where P = 1.
    commit_loss
        Scalar: mean squared distance of token and (detached) nearest codeword vector.
    """

    quantized: Tensor
    codes: Tensor
    weights: Tensor
    commit_loss: Tensor


class ProductQuantizer(nn.Module):
    """M codebooks of K codewords over tokens of D dimensions.

    With ``codebook_update='ema'`` codewords follow an exponential moving average of the sub-vectors assigned to them, with Laplace
    smoothing (van den Oord et al., arXiv 1711.00937, appendix A.1); with ``'gradient'`` they learn from the loss.

    Parameters
    ----------
    token_dim
        D, a multiple of M.
    config
        Sizes and rates.
    """

    def __init__(self, token_dim: int, config: QuantizerConfig) -> None:
        super().__init__()
        if token_dim % config.n_codebooks:
            raise ValueError(f"token_dim={token_dim} must be a multiple of n_codebooks={config.n_codebooks}")
        self.config = config
        n_books, size = config.n_codebooks, config.codebook_size
        learned = config.codebook_update == "gradient"
        self.codebooks = nn.Parameter(torch.zeros(n_books, size, token_dim // n_books), requires_grad=learned)  # (M, K, D / M)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self.register_buffer("usage", torch.ones(n_books, size))  # (M, K) moving average of tokens per codeword and batch
        self.register_buffer("position_sum", torch.zeros(n_books, size, token_dim // n_books))

    @torch.no_grad()
    def fit(self, tokens: Tensor, seed: int) -> None:
        """Start the codebooks by k-means on tokens.

        Parameters
        ----------
        tokens
            (N, D) float32, N at least 1; with fewer tokens than codewords some codewords repeat with a little noise.
        seed
            Seed of the k-means start.
        """
        generator = torch.Generator().manual_seed(seed)
        for book, parts in enumerate(self._parts(tokens)):
            self.codebooks[book] = _kmeans(parts, self.config.codebook_size, self.config.kmeans_iterations, generator)
        indices = self._indices(tokens)
        for book, parts in enumerate(self._parts(tokens)):
            counts, sums = _assignment_sums(parts, indices[:, book], self.config.codebook_size)
            self.usage[book], self.position_sum[book] = counts, sums
        nearest = self.vectors(self.compose(indices))
        error = (tokens - nearest).square().sum(1).mean()
        # A quarter of the quantization error spreads the weights over codes that are about as near as the nearest one.
        self.log_temperature.copy_(torch.log((error / 4).clamp(min=1e-6)))

    def forward(self, tokens: Tensor) -> Quantized:
        """Quantize (N, D) tokens; see `Quantized`."""
        codes = self.nearest_codes(tokens.detach())  # (N, P)
        vectors = self.vectors(codes)  # (N, P, D)
        nearest = vectors[:, 0]
        commit_loss = (tokens - nearest.detach()).square().sum(1).mean()
        if codes.shape[1] == 1:
            weights = torch.ones_like(codes, dtype=tokens.dtype)
        else:
            distance = (tokens[:, None] - vectors).square().sum(-1)  # (N, P)
            weights = F.softmax(-distance / self.log_temperature.exp(), dim=1)
        # Value of the codeword; gradient to the token (straight-through) and to the codeword.
        quantized = nearest + (tokens - tokens.detach())
        return Quantized(quantized, codes, weights, commit_loss)

    @torch.no_grad()
    def nearest_codes(self, tokens: Tensor) -> Tensor:
        """The P nearest composite codes of (N, D) tokens, nearest first: (N, P) int64.

        Exact without listing K**M codes: the P best sums of per-codebook distances only use the P best partial sums, so codebooks are
        merged one by one.
        """
        size, n_nearest = self.config.codebook_size, self.config.n_nearest
        best: Tensor | None = None
        codes = torch.zeros(len(tokens), 1, dtype=torch.int64, device=tokens.device)
        for book, parts in enumerate(self._parts(tokens)):
            distance, index = _squared_distances(parts, self.codebooks[book]).topk(min(n_nearest, size), dim=1, largest=False)
            if best is None:
                best, codes = distance, index
                continue
            sums = (best[:, :, None] + distance[:, None, :]).flatten(1)
            merged = (codes[:, :, None] + index[:, None, :] * size**book).flatten(1)
            best, order = sums.topk(min(n_nearest, sums.shape[1]), dim=1, largest=False)
            codes = merged.gather(1, order)
        return codes

    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of composite codes: (...) int64 -> (..., D) float32."""
        indices = self.decompose(codes)
        # Unlike plain indexing, an embedding adds gradients up in the same order every time.
        books = [F.embedding(indices[..., book], self.codebooks[book]) for book in range(self.config.n_codebooks)]
        return torch.cat(books, dim=-1)

    def decompose(self, codes: Tensor) -> Tensor:
        """Codeword indices of composite codes: (...) int64 -> (..., M) int64."""
        size = self.config.codebook_size
        return torch.stack([codes // size**book % size for book in range(self.config.n_codebooks)], dim=-1)

    def compose(self, indices: Tensor) -> Tensor:
        """Composite codes of codeword indices: (..., M) int64 -> (...) int64."""
        powers = torch.tensor([self.config.codebook_size**book for book in range(self.config.n_codebooks)], device=indices.device)
        return (indices * powers).sum(-1)

    @torch.no_grad()
    def update(self, tokens: Tensor, generator: torch.Generator) -> int:
        """After a training step: move the averages (and, for 'ema', the codewords) and revive dead codewords.

        Parameters
        ----------
        tokens
            (N, D) float32, the batch's tokens.
        generator
            Chooses the tokens that dead codewords are re-seeded from.

        Returns
        -------
        int
            Codewords revived.
        """
        config, revived = self.config, 0
        indices = self._indices(tokens)
        for book, parts in enumerate(self._parts(tokens)):
            counts, sums = _assignment_sums(parts, indices[:, book], config.codebook_size)
            self.usage[book].lerp_(counts, 1 - config.ema_decay)
            self.position_sum[book].lerp_(sums, 1 - config.ema_decay)
            usage = self.usage[book]
            if config.codebook_update == "ema":
                total = usage.sum()
                smooth = (usage + 1e-5) / (total + config.codebook_size * 1e-5) * total  # Laplace smoothing
                self.codebooks[book] = self.position_sum[book] / smooth[:, None]
            dead = torch.nonzero(usage < config.revive_below * usage.mean()).flatten()
            if len(dead):
                chosen = torch.randint(len(parts), (len(dead),), generator=generator).to(parts.device)
                average = usage.mean()
                self.codebooks[book, dead] = parts[chosen]
                self.usage[book, dead] = average
                self.position_sum[book, dead] = parts[chosen] * average
                revived += len(dead)
        return revived

    def _parts(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return tokens.chunk(self.config.n_codebooks, dim=-1)

    def _indices(self, tokens: Tensor) -> Tensor:
        parts = self._parts(tokens)
        return torch.stack([_squared_distances(part, book).argmin(1) for part, book in zip(parts, self.codebooks, strict=True)], dim=1)


def _squared_distances(points: Tensor, centres: Tensor) -> Tensor:
    return (points.square().sum(1)[:, None] - 2 * points @ centres.T + centres.square().sum(1)).clamp(min=0)


def _assignment_sums(points: Tensor, assigned: Tensor, size: int) -> tuple[Tensor, Tensor]:
    counts = torch.bincount(assigned, minlength=size).to(points.dtype)
    return counts, points.new_zeros(size, points.shape[1]).index_add_(0, assigned, points)


def _kmeans(points: Tensor, size: int, iterations: int, generator: torch.Generator) -> Tensor:
    first = torch.randperm(len(points), generator=generator)
    chosen = first[torch.arange(size) % len(points)].to(points.device)
    centres = points[chosen].clone()
    if len(points) < size:
        centres += 1e-4 * torch.randn(centres.shape, generator=generator).to(points.device)
    for _ in range(iterations):
        counts, sums = _assignment_sums(points, _squared_distances(points, centres).argmin(1), size)
        random = points[torch.randint(len(points), (size,), generator=generator).to(points.device)]
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], random)
    return centres
