"""Base of the quantizers: codewords, their k-means start and moving averages, and the weights of a token's nearest codes.

A composite code holds one codeword of each of M codebooks, ``sum(index[m] * K**m)``. Subclasses say which part of a token a codebook
quantizes and which vector a code stands for. Softmax weights over several nearest codes give the encoder a smooth gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sparcode.config import QuantizerConfig
from sparcode.device import in_chunks
from sparcode.model.encoding_kernels import Codebooks, nearest_codes
from sparcode.model.kmeans import Centres, assignment_sums, kmeans, nearest_centres
from sparcode.model.ranks import Ranks, current

# 1 MiB of float32: smaller codebooks stay in the processor's cache, where compiled loops meet a few tokens faster than matrix products do.
SMALL_CODEBOOKS = 1 << 18
# Choosing the codes of so many tokens takes a thread longer than waking it.
TOKENS_PER_THREAD = 512


class Quantized(NamedTuple):
    """What a quantizer makes of (N, D) tokens.

    Attributes
    ----------
    quantized
        (N, D) nearest code's vector, with a straight-through gradient to the token.
    codes, weights
        (N, P) int64, nearest first, and (N, P) float32, softmax of minus squared distance over temperature; 1 where P = 1.
    commit_loss
        Scalar: mean squared distance of token and (detached) nearest code's vector.
    """

    quantized: Tensor
    codes: Tensor
    weights: Tensor
    commit_loss: Tensor


class PreparedCodebooks(NamedTuple):
    """Codebooks prepared for serving; valid while `key` is that of the parameters.

    `compiled` is None on another device than the CPU and where codebooks are large.
    """

    key: tuple[int, int, int]
    codebooks: tuple[Tensor, ...]
    centres: list[Centres]
    minus_temperature: Tensor
    compiled: Codebooks | None


class Quantizer(nn.Module, ABC):
    """M codebooks of K codewords of `codeword_dim` dimensions over tokens of D dimensions.

    With ``codebook_update='ema'`` codewords follow an exponential moving average of the parts of tokens assigned to them, with Laplace
    smoothing (van den Oord et al., arXiv 1711.00937, appendix A.1); with ``'gradient'`` they learn from the loss.

    `is_residual`: a codebook quantizes what those before it left over, instead of a part of the token.
    """

    is_residual = False

    def __init__(self, codeword_dim: int, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config
        n_books, size = config.n_codebooks, config.codebook_size
        learned = config.codebook_update == "gradient"
        self.codebooks = nn.Parameter(torch.zeros(n_books, size, codeword_dim), requires_grad=learned)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self.register_buffer("usage", torch.ones(n_books, size))  # (M, K) moving average of tokens per codeword and batch
        self.register_buffer("position_sum", torch.zeros(n_books, size, codeword_dim))
        self._prepared: PreparedCodebooks | None = None
        self._n_codes = min(config.n_nearest, size**n_books)

    @abstractmethod
    def nearest_codes(self, tokens: Tensor) -> Tensor:
        """The P nearest composite codes of (N, D) tokens, nearest first: (N, P) int64."""

    @abstractmethod
    def nearest_in_one_block(self, tokens: Tensor) -> Tensor:
        """As `nearest_codes`, with the distances of all tokens in memory at once; in training mode a function of tensors alone."""

    @abstractmethod
    def vectors(self, codes: Tensor) -> Tensor:
        """Vectors of composite codes: (...) int64 -> (..., D) float32."""

    @abstractmethod
    def _part(self, tokens: Tensor, before: Tensor) -> Tensor:
        """What codebook m quantizes of (N, D) tokens, given their (N, m) codewords of the codebooks before it."""

    def part(self, tokens: Tensor, codes: Tensor, book: int) -> Tensor:
        """What codebook `book` quantizes of (N, D) tokens that take these (N,) int64 codes: (N, D / M), or (N, D) for residual ones."""
        return self._part(tokens, self.decompose(codes)[:, :book])

    def _indices(self, tokens: Tensor) -> Tensor:
        """(N, M) codewords of the nearest codes."""
        return self.decompose(self.nearest_codes(tokens)[:, 0])

    @torch.no_grad()
    def fit(self, tokens: Tensor, seed: int) -> None:
        """Start the codebooks by k-means on (N, D) float32 tokens, N at least 1, one after the other.

        With fewer tokens than codewords some codewords repeat with a little noise.
        """
        generator = torch.Generator().manual_seed(seed)
        size = self.config.codebook_size
        before = torch.zeros(len(tokens), 0, dtype=torch.int64, device=tokens.device)
        for book in range(self.config.n_codebooks):
            part = self._part(tokens, before)
            self.codebooks[book] = kmeans(part, size, self.config.kmeans_iterations, generator)
            before = torch.cat([before, nearest_centres(part, self.codebooks[book])[:, None]], dim=1)
        indices = self._indices(tokens)
        for book in range(self.config.n_codebooks):
            counts, sums = assignment_sums(self._part(tokens, indices[:, :book]), indices[:, book], size)
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
        weights = self._weights(tokens, vectors)
        # Value of the code's vector; gradient to the token (straight-through) and to the codewords.
        quantized = nearest + (tokens - tokens.detach())
        return Quantized(quantized, codes, weights, commit_loss)

    def codes_and_weights(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and weights of (N, D) tokens, (N, P) each, without gradients: those of `forward`, up to rounding."""
        tokens = tokens.detach()
        if (found := self._by_loops(tokens)) is not None:
            return tuple(torch.from_numpy(part) for part in found)
        return self._by_torch(tokens)

    def code_arrays(self, tokens: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """As `codes_and_weights`, as arrays: (N, P) int64 and float32."""
        tokens = tokens.detach()
        found = self._by_loops(tokens)
        return tuple(part.cpu().numpy() for part in self._by_torch(tokens)) if found is None else found

    def served_codebooks(self) -> Codebooks | None:
        """Codebooks for the compiled loops; None where PyTorch must meet them: in training mode, on a GPU, or if they are large."""
        return None if self.training else self._prepared_codebooks().compiled

    def empty_codes(self, n_rows: int, n_tokens: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Unwritten codes and weights of rows of tokens: (n_rows, n_tokens * P) int64 and float32."""
        shape = (n_rows, n_tokens * self._n_codes)
        return np.empty(shape, np.int64), np.empty(shape, np.float32)

    def _by_loops(self, tokens: Tensor) -> tuple[np.ndarray, np.ndarray] | None:
        """`code_arrays` by compiled loops, which sort far less than PyTorch does; None where there are none for it.

        Rounding differs from `nearest_codes`, so nearly equally distant codes may come in another order.
        """
        books = self.served_codebooks() if tokens.is_cpu and tokens.dtype == torch.float32 else None
        if books is None:
            return None
        codes, weights = self.empty_codes(len(tokens))
        arrays = tokens.contiguous().numpy()
        in_chunks(len(tokens), lambda start, stop: nearest_codes(arrays, tuple(books), codes, weights, start, stop), TOKENS_PER_THREAD)
        return codes, weights

    def _by_torch(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        codes = self.nearest_codes(tokens)
        if codes.shape[1] == 1:
            return codes, torch.ones_like(codes, dtype=tokens.dtype)
        if self.training:
            return codes, self._weights(tokens, self.vectors(codes)).detach()
        prepared = self._prepared_codebooks()
        vectors = torch.embedding(prepared.codebooks[0], codes) if len(prepared.codebooks) == 1 else self.vectors(codes).detach()
        distance = (tokens[:, None] - vectors).square_().sum(-1)  # (N, P)
        return codes, F.softmax(distance.div_(prepared.minus_temperature), dim=1)

    def _weights(self, tokens: Tensor, vectors: Tensor) -> Tensor:
        """(N, P) weights of the (N, P, D) vectors of the nearest codes."""
        if vectors.shape[1] == 1:
            return vectors.new_ones(vectors.shape[:2])
        distance = (tokens[:, None] - vectors).square().sum(-1)  # (N, P)
        return F.softmax(-distance / self.log_temperature.exp(), dim=1)

    def train(self, mode: bool = True) -> Quantizer:
        """Switch to training or evaluation mode; clear what was prepared for serving before codewords can change."""
        if mode:
            self._prepared = None
        return super().train(mode)

    def _centres(self, book: int) -> Centres:
        """A codebook prepared for distances; cached while serving."""
        if self.training:
            return Centres.of(self.codebooks[book].detach())
        return self._prepared_codebooks().centres[book]

    def _prepared_codebooks(self) -> PreparedCodebooks:
        # As attributes each would take a third of a microsecond.
        codebooks, log_temperature = self._parameters["codebooks"], self._parameters["log_temperature"]
        # Versions tell of changes made in evaluation mode. They would not be enough: PyTorch's fused optimizers do not count theirs.
        key = (codebooks.data_ptr(), codebooks._version, log_temperature._version)
        prepared = self._prepared
        if prepared is None or prepared.key != key:
            books = tuple(codebooks.detach())
            minus_temperature = -log_temperature.detach().exp()
            compiled = self._compiled(codebooks.detach(), minus_temperature)
            prepared = self._prepared = PreparedCodebooks(key, books, [Centres.of(book) for book in books], minus_temperature, compiled)
        return prepared

    def _compiled(self, codebooks: Tensor, minus_temperature: Tensor) -> Codebooks | None:
        if not codebooks.is_cpu or codebooks.dtype != torch.float32 or codebooks.numel() > SMALL_CODEBOOKS:
            return None
        doubled, squares = (-2 * codebooks).transpose(1, 2).contiguous(), codebooks.square().sum(2)
        arrays = (part.numpy() for part in (codebooks.contiguous(), doubled, squares))
        return Codebooks(*arrays, np.float32(1 / float(minus_temperature)), self.is_residual)

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
        """After a training step on (N, D) tokens: move the averages (and, for 'ema', the codewords) and re-seed dead codewords.

        Returns how many were re-seeded; `generator` chooses the tokens they are re-seeded from. Of processes that train together
        (`sparcode.model.ranks`) the tokens of all count.
        """
        config, revived, ranks = self.config, 0, current()
        indices = self._indices(tokens)
        # All parts before any codeword moves: later parts may depend on earlier codewords.
        parts = [self._part(tokens, indices[:, :book]) for book in range(config.n_codebooks)]
        found = [assignment_sums(part, indices[:, book], config.codebook_size) for book, part in enumerate(parts)]
        # Of all codebooks at once, for each message has its price.
        totals = ranks.add_up(torch.stack([torch.cat([counts[:, None], sums], dim=1) for counts, sums in found]))  # (M, K, 1 + D)
        for book, part in enumerate(parts):
            counts, sums = totals[book, :, 0], totals[book, :, 1:]
            self.usage[book].lerp_(counts, 1 - config.ema_decay)
            self.position_sum[book].lerp_(sums, 1 - config.ema_decay)
            if config.codebook_update == "ema":
                total = self.usage[book].sum()
                smooth = (self.usage[book] + 1e-5) / (total + config.codebook_size * 1e-5) * total  # Laplace smoothing
                self.codebooks[book] = self.position_sum[book] / smooth[:, None]
            revived += self._revive(book, part, generator, ranks)
        return revived

    def _revive(self, book: int, part: Tensor, generator: torch.Generator, ranks: Ranks) -> int:
        usage = self.usage[book]
        average = usage.mean()
        dead = torch.nonzero(usage < self.config.revive_below * average).flatten()
        if len(dead):
            chosen = torch.randint(ranks.n_rows(part), (len(dead),), generator=generator).to(part.device)
            tokens = ranks.picked(part, chosen)
            self.codebooks[book, dead] = tokens
            self.usage[book, dead] = average
            self.position_sum[book, dead] = tokens * average
        return len(dead)
