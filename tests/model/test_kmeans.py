from __future__ import annotations

import torch

from sparcode.model.kmeans import assignment_sums, kmeans, squared_distances

POINTS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))


def test_distances_are_those_between_all_pairs() -> None:
    torch.testing.assert_close(squared_distances(POINTS, POINTS[:5]), torch.cdist(POINTS, POINTS[:5]).square(), atol=1e-5, rtol=1e-4)


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
