from __future__ import annotations

import numpy as np
import pytest

from sparcode.space.units import code_units


def test_units_of_a_codebook_are_the_digits_of_the_codes() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(5, size=(40, 3))
    codes = words @ np.array([1, 5, 25])
    for book in range(3):
        assert code_units(3, 5, book).of(codes).tolist() == words[:, book].tolist()
    whole = code_units(3, 5)
    assert whole.of(codes).tolist() == codes.tolist()
    assert [whole.words(code) for code in codes.tolist()] == [tuple(row) for row in words.tolist()]
    assert whole.name(3 + 5 * 0 + 25 * 4) == "3·0·4"
    assert (whole.n_possible, code_units(3, 5, 1).n_possible) == (125, 5)


def test_one_codebook_is_looked_at_as_such() -> None:
    assert code_units(1, 8).of_book == code_units(1, 8, 0).of_book == 0
    assert code_units(1, 8).name(7) == "7"
    assert code_units(2, 8).of_book is None


@pytest.mark.parametrize("book", [-1, 2])
def test_a_codebook_that_there_is_not_is_refused(book: int) -> None:
    with pytest.raises(ValueError, match="book must be one of the 2"):
        code_units(2, 8, book)
