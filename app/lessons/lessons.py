"""The table of lessons, in the order of the page."""

from __future__ import annotations

from typing import Final

from app.lessons import (
    codebook_health,
    codebook_sizes,
    interaction_gain,
    interaction_types,
    query_costs,
    shared_lists,
    sparse_scores,
    sparsity_knee,
    two_limits,
    whole_method,
)
from app.lessons.lesson import Lesson

LESSONS: Final[tuple[Lesson, ...]] = (
    whole_method.LESSON,
    two_limits.LESSON,
    shared_lists.LESSON,
    interaction_gain.LESSON,
    sparse_scores.LESSON,
    codebook_health.LESSON,
    query_costs.LESSON,
    interaction_types.LESSON,
    codebook_sizes.LESSON,
    sparsity_knee.LESSON,
)


def lesson_of(number: int) -> Lesson:
    """A lesson by its number; ValueError for another one."""
    for lesson in LESSONS:
        if lesson.number == number:
            return lesson
    raise ValueError(f"there are lessons 1 to {len(LESSONS)}; got {number}")
