from __future__ import annotations

import pytest

from app.space.selection import read_words
from sparcode.space.units import code_units


@pytest.mark.parametrize(
    ("text", "found", "refused"),
    [
        ("3, 7", [3, 7], []),
        ("  7;3 1 ", [7, 3, 1], []),
        ("", [], []),
        ("8 x -1 2·3", [], ["8", "x", "-1", "2·3"]),
        ("9" * 60, [], ["9" * 60]),
    ],
)
def test_codewords_are_read_as_numbers(text: str, found: list[int], refused: list[str]) -> None:
    assert read_words(text, code_units(2, 8, 1)) == (found, refused)
    assert read_words(text, code_units(1, 8)) == (found, refused)


@pytest.mark.parametrize(("text", "found", "refused"), [("3·7, 0.1", [59, 8], []), ("3 1·2·3 8·0 x·1", [], ["3", "1·2·3", "8·0", "x·1"])])
def test_whole_codes_are_read_by_their_codewords(text: str, found: list[int], refused: list[str]) -> None:
    assert read_words(text, code_units(2, 8)) == (found, refused)
