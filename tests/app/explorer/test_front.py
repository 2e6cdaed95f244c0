from __future__ import annotations

from app.explorer.front import Front, takeaway
from app.measured.setting_grids import SearchedGrid
from sparcode.comparison.setting_grid import GridPoint

SMALL = GridPoint(1, 8, 1, 0, 0.50, 900_000)
LARGE = GridPoint(2, 8, 1, 0, 0.52, 1_500_000)
TUNED = GridPoint(2, 8, 1, 0, 0.58, 2_000_000)


def front(answer: GridPoint | None) -> Front:
    """Previews of two settings, one of which is fine-tuned."""
    found = SearchedGrid((SMALL, LARGE), 0, 1.0)
    return Front(found, [SMALL.codes, LARGE.codes], {TUNED.codes: (TUNED,)}, 1.0, answer)


def test_an_answer_stands_beside_points_of_its_own_kind() -> None:
    fits = front(SMALL)
    assert fits.beside_answer == [SMALL, LARGE]
    assert takeaway(fits.beside_answer, fits.answer) == "1.7 times smaller for 0.020 recall: 1.5 → 0.9 MB"
    best = front(TUNED)
    assert takeaway(best.beside_answer, best.answer) == "The best of all fits: recall 0.580 at 2 MB"
    assert front(None).beside_answer == [TUNED]
