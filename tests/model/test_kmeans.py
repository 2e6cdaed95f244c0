from __future__ import annotations

import pytest
import torch

from sparcode.model import kmeans as kmeans_module
from sparcode.model.kmeans import assignment_sums, kmeans, nearest_centres, squared_distances

POINTS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


def test_distances_are_those_between_all_pairs() -> None:
    torch.testing.assert_close(squared_distances(POINTS, POINTS[:5]), torch.cdist(POINTS, POINTS[:5]).square(), atol=1e-5, rtol=1e-4)


def test_the_nearest_centre_is_the_first_of_equals() -> None:
    centres = torch.cat([POINTS[:4], POINTS[:4], POINTS[2:9]])
    distances = squared_distances(POINTS, centres).tolist()
    assert nearest_centres(POINTS, centres).tolist() == [row.index(min(row)) for row in distances]


def test_sums_are_those_of_a_loop() -> None:
    assigned = torch.arange(30) % 7 % 5
    counts, sums = assignment_sums(POINTS, assigned, 6)
    assert counts.tolist() == [int((assigned == centre).sum()) for centre in range(6)]
    torch.testing.assert_close(sums, torch.stack([POINTS[assigned == centre].sum(0) for centre in range(6)]))


def test_without_iterations_the_centres_are_different_points_chosen_at_random() -> None:
    centres = kmeans(POINTS, 6, 0, torch.Generator().manual_seed(3))
    rows = [torch.nonzero((centre == POINTS).all(1)).item() for centre in centres]
    assert len(set(rows)) == 6
    assert not torch.equal(centres, kmeans(POINTS, 6, 0, torch.Generator().manual_seed(4)))
    assert torch.equal(centres, kmeans(POINTS, 6, 0, torch.Generator().manual_seed(3)))


def test_iterations_bring_centres_nearer() -> None:
    errors = [
        float(squared_distances(POINTS, kmeans(POINTS, 6, iterations, torch.Generator().manual_seed(3))).min(1).values.mean())
        for iterations in (0, 1, 8)
    ]
    assert errors[0] > errors[1] >= errors[2]


def test_distances_are_held_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    points, centres = POINTS[5:28], POINTS[:5]
    whole = nearest_centres(points, centres)
    assert whole.tolist() == torch.cdist(points, centres).argmin(1).tolist()
    monkeypatch.setattr(kmeans_module, "MAX_DISTANCES", 15)
    assert nearest_centres(points, centres).tolist() == whole.tolist()
