"""Seeded k-means (Lloyd) on tokens, and sums over assigned points."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# 128 MiB of float32.
MAX_DISTANCES = 1 << 25


class Centres(NamedTuple):
    """Centres prepared for distances: `doubled` (D, K), minus two times the centres, and `squares` (K,), their squared lengths."""

    doubled: Tensor
    squares: Tensor

    @classmethod
    def of(cls, centres: Tensor) -> Centres:
        """Of (K, D) centres."""
        return cls((-2 * centres).T, centres.square().sum(1))

    def squared_distances(self, points: Tensor) -> Tensor:
        """Squared distances of (N, D) points: (N, K), not negative."""
        lengths = points.square().sum(1, keepdim=True)
        return (lengths + points @ self.doubled).add_(self.squares).clamp_(min=0)


def squared_distances(points: Tensor, centres: Tensor) -> Tensor:
    """Squared distances of (N, D) points to (K, D) centres: (N, K), not negative."""
    return Centres.of(centres).squared_distances(points)


def nearest_centres(points: Tensor, centres: Tensor) -> Tensor:
    """The nearest of (K, D) centres for each of (N, D) points: (N,) int64, computed in blocks."""
    rows = max(1, MAX_DISTANCES // len(centres))
    return torch.cat([_nearest(squared_distances(block, centres)) for block in points.split(rows)])


def _nearest(distances: Tensor) -> Tensor:
    if distances.device.type != "cpu":
        return distances.argmin(1)
    # The same place, the first of equals, found in a quarter of the time.
    return torch.from_numpy(distances.detach().numpy().argmin(1))


def assignment_sums(points: Tensor, assigned: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(K,) counts and (K, D) sums of (N, D) points by their centre, (N,) int64; both of the points' dtype."""
    counts = torch.bincount(assigned, minlength=size).to(points.dtype)
    return counts, points.new_zeros(size, points.shape[1]).index_add_(0, assigned, points)


def kmeans(points: Tensor, size: int, iterations: int, generator: torch.Generator) -> Tensor:
    """(K, D) float32 centres of (N, D) points, N at least 1; a centre without points restarts at a random one.

    With fewer points than centres some centres repeat with a little noise. With 0 iterations centres are random points.
    """
    first = torch.randperm(len(points), generator=generator)
    chosen = first[torch.arange(size) % len(points)].to(points.device)
    centres = points[chosen].clone()
    if len(points) < size:
        centres += 1e-4 * torch.randn(centres.shape, generator=generator).to(points.device)
    for _ in range(iterations):
        counts, sums = assignment_sums(points, nearest_centres(points, centres), size)
        random = points[torch.randint(len(points), (size,), generator=generator).to(points.device)]
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], random)
    return centres
