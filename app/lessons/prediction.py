"""What a learner commits to before a result is shown, and whether the measured figures bear it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from app.lessons.reading import Rows


class Choice(NamedTuple):
    """A question with a few answers.

    Attributes
    ----------
    options
        Key -> words.
    answer
        The key that the figures give.
    """

    question: str
    options: Mapping[str, str]
    answer: Callable[[Rows], str]

    def allows(self, guess: str | float | None) -> bool:
        """Whether a guess is one of the answers."""
        return guess in self.options

    def judged(self, guess: str | float, rows: Rows) -> tuple[bool, str]:
        """Whether the guess is what the figures give, and a sentence that names both."""
        right = self.answer(rows)
        if guess == right:
            return True, f"Your prediction holds: **{self.options[right]}**."
        return False, f"Your prediction was **{self.options[str(guess)]}**; the figures say **{self.options[right]}**."


class Number(NamedTuple):
    """A question for a number.

    Attributes
    ----------
    unit
        After the number; "%" for percent.
    lowest, highest, start, step
        Of the field that it is typed into.
    near
        A guess this far off still counts.
    answer
        The number that the figures give.
    """

    question: str
    unit: str
    lowest: float
    highest: float
    start: float
    step: float
    near: float
    answer: Callable[[Rows], float]

    def allows(self, guess: str | float | None) -> bool:
        """Whether a guess is a number within the bounds."""
        return isinstance(guess, int | float) and self.lowest <= guess <= self.highest

    def judged(self, guess: str | float, rows: Rows) -> tuple[bool, str]:
        """As for `Choice`."""
        right = self.answer(rows)
        off = abs(float(guess) - right)
        said = f"You predicted **{float(guess):g} {self.unit}**, the measurement gives **{right:.1f} {self.unit}**"
        if off <= self.near:
            return True, f"Your prediction holds: {said[0].lower()}{said[1:]}, at most {self.near:g} apart."
        return False, f"{said}: {off:.1f} apart, more than the {self.near:g} that count as near."


Prediction = Choice | Number
