"""What is selected and counted: whole codes, or the codewords of one codebook."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class CodeUnits(NamedTuple):
    """How composite codes are looked at.

    Attributes
    ----------
    n_codebooks, codebook_size
        M and K, so that a code is ``sum(index[m] * K**m)``.
    book
        The codebook whose codewords count, from 0; None: whole codes.
    """

    n_codebooks: int
    codebook_size: int
    book: int | None = None

    @property
    def of_book(self) -> int | None:
        """The codebook, also where there is one alone; None for whole codes of several codebooks."""
        return 0 if self.book is None and self.n_codebooks == 1 else self.book

    @property
    def n_possible(self) -> int:
        """Units that could be in use: K, or K**M whole codes."""
        return self.codebook_size ** (self.n_codebooks if self.of_book is None else 1)

    def of(self, codes: np.ndarray) -> np.ndarray:
        """Units of composite codes, int64 of any shape."""
        codes = np.asarray(codes, np.int64)
        return codes if self.of_book is None else codes // self.codebook_size**self.of_book % self.codebook_size

    def words(self, unit: int) -> tuple[int, ...]:
        """The codewords that a unit stands for, one for each codebook that counts."""
        if self.of_book is not None:
            return (int(unit),)
        return tuple(int(unit) // self.codebook_size**book % self.codebook_size for book in range(self.n_codebooks))

    def name(self, unit: int) -> str:
        """A unit's name: its codewords, joined by a dot where there are several."""
        return "·".join(map(str, self.words(unit)))


def code_units(n_codebooks: int, codebook_size: int, book: int | None = None) -> CodeUnits:
    """Units of M codebooks with K codewords; ValueError for a codebook that there is not."""
    if book is not None and not 0 <= book < n_codebooks:
        raise ValueError(f"book must be one of the {n_codebooks} codebooks, from 0; got {book}")
    return CodeUnits(n_codebooks, codebook_size, book)
