from __future__ import annotations

from app.lessons.prediction import Choice, Number
from app.lessons.reading import Row

ROWS = [Row("one", {"share": 0.31})]
CHOICE = Choice("Which?", {"a": "The first", "b": "The second"}, lambda rows: "b" if rows[0]["share"] > 0.3 else "a")
NUMBER = Number("How many?", "%", 0, 100, 50, 1, 5, lambda rows: 100 * rows[0]["share"])


def test_a_choice_is_held_against_the_figures() -> None:
    assert CHOICE.judged("b", ROWS) == (True, "Your prediction holds: **The second**.")
    assert CHOICE.judged("a", ROWS) == (False, "Your prediction was **The first**; the figures say **The second**.")
    assert CHOICE.judged("a", [Row("one", {"share": 0.1})])[0]


def test_a_number_may_be_a_little_off() -> None:
    held, said = NUMBER.judged(35, ROWS)
    assert held
    assert said == "Your prediction holds: you predicted **35 %**, the measurement gives **31.0 %**, at most 5 apart."
    held, said = NUMBER.judged(37.5, ROWS)
    assert not held
    assert said == "You predicted **37.5 %**, the measurement gives **31.0 %**: 6.5 apart, more than the 5 that count as near."


def test_only_answers_of_the_question_are_allowed() -> None:
    assert [CHOICE.allows(guess) for guess in ("a", "c", None, 3)] == [True, False, False, False]
    assert [NUMBER.allows(guess) for guess in (0, 100.0, 101, -1, None, "a")] == [True, True, False, False, False, False]
