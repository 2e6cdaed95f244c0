"""What the numbers of a code space say, in sentences."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.measured.code_spaces import SEED, CodeSpace
from app.measured.item_names import ItemNames, for_markdown
from sparcode.space.lift import Lift
from sparcode.space.places import CODE, ITEM, TOKEN
from sparcode.space.use import share_of_most_used

# Genres that the second line names at most, and codes that a list of names shows.
_GENRES: Final = 3
_CODES: Final = 6


def code_names(space: CodeSpace, units: list[int]) -> str:
    """Codes by name, for a sentence."""
    names = [space.units.name(unit) for unit in units[:_CODES]]
    rest = f" and {len(units) - len(names)} more" if len(units) > len(names) else ""
    return ("code " if len(units) == 1 else "codes ") + ", ".join(names) + rest


def answer(space: CodeSpace, units: list[int], names: ItemNames) -> str:
    """How unevenly the codes are used, who carries the ones looked at, and what they rank first."""
    use = space.use
    if len(use.units) == 0:
        return "No token takes any code of this model."
    n, share = share_of_most_used(use.tokens, len(use.units))
    uneven = f"A quarter of the {len(use.units):,} codes in use carries {share:.0%} of all tokens"
    if len(use.units) < 4:
        uneven = f"{len(use.units)} codes are in use, the first {n} of them by {share:.0%} of all tokens"
    carriers = len(use.carriers(np.array(units))) / max(1, use.n_users)
    first, _ = space.ranked(np.array(units), 1)
    ranks = f"and rank{'s' if len(units) == 1 else ''} *{for_markdown(names.title(int(first[0])))}* first" if len(first) else "and no list"
    return f"{uneven}; {code_names(space, units)} {'is' if len(units) == 1 else 'are'} carried by {carriers:.1%} of users {ranks}."


def genre_words(lifts: list[Lift], has_genres: bool) -> str:
    """Which genres are over-represented beyond chance, or that none is."""
    if not has_genres:
        return "This data has no genres, so what a code stands for is shown by its items alone."
    if not lifts:
        return "No item is ranked, so no genre is either."
    more = [one for one in lifts if one.verdict == "more"]
    n = lifts[0].n
    if not more:
        return f"No genre is over-represented beyond chance among the {n} items ranked first."
    said = ", ".join(f"**{for_markdown(one.label)}** {one.lift:.1f} times ({one.low:.1f} to {one.high:.1f})" for one in more[:_GENRES])
    rest = f" and {len(more) - _GENRES} more" if len(more) > _GENRES else ""
    return f"Over-represented among the {n} items ranked first, against the catalogue: {said}{rest}."


def sample_words(space: CodeSpace) -> str:
    """Which points are drawn, of how many."""
    points = space.points
    if points is None:
        return ""
    said = ", ".join(
        f"{len(points.of_kind(kind)):,} of {in_all:,} {name}"
        for kind, in_all, name in ((CODE, points.n_codes, "codes"), (ITEM, points.n_items, "items"), (TOKEN, points.n_tokens, "tokens"))
    )
    return f"Drawn: {said}; what is left out is drawn by lot with seed {SEED}, of the codes the least used."


def map_legend(space: CodeSpace) -> tuple[str, str, str]:
    """A text each for codes, items and tokens."""
    points = space.points
    code = "codeword" if space.units.book is not None or space.units.n_codebooks == 1 else "code"
    return (
        f"{code}s ({len(points.of_kind(CODE)):,})",
        f"items ({len(points.of_kind(ITEM)):,})",
        f"queries' tokens ({len(points.of_kind(TOKEN)):,})",
    )
