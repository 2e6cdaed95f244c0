"""The charts beside the map: use, pairs, codes carried together, genres; a click on a code selects it."""

from __future__ import annotations

from typing import Final

import numpy as np

from app.charts.code_bars import CodeBarsData, code_bars_figure, shown_bars
from app.charts.code_pairs import CodePairsData, code_pairs_figure
from app.charts.codes_together import CodesTogetherData, codes_together_figure
from app.charts.genre_lift import GenreLiftData, genre_lift_figure, shown_lifts
from app.components.live_chart import live_chart
from app.measured.code_spaces import CodeSpace
from app.measured.item_names import for_chart
from app.space.selection import Selection
from sparcode.space.lift import Lift
from sparcode.space.units import CodeUnits

HEIGHT: Final = 400
MOST_TOGETHER: Final = 14
# More cells than that are too many to draw, and to see.
LARGEST_BOOK: Final = 256


def bars_chart(space: CodeSpace, shown: list[int], selection: Selection) -> None:
    """Use of codes, most used first."""
    use, total = space.use, max(float(space.use.tokens.sum()), 1e-12)
    order = use.order
    at = shown_bars(order, use.places(np.array(shown)))
    places = order[at]
    units = use.units[places]
    data = CodeBarsData(
        units=units,
        names=tuple(space.units.name(unit) for unit in units.tolist()),
        ranks=at + 1,
        token_shares=use.tokens[places] / total,
        user_shares=use.n_carriers[places] / max(1, use.n_users),
        selected=np.isin(units, shown),
        even=1 / max(1, len(use.units)),
        n_units=len(use.units),
    )
    alt = f"Share of all tokens by code: {len(use.units):,} codes are in use. Selected: {', '.join(map(space.units.name, shown[:12]))}."
    live_chart(code_bars_figure, data, "space-bars", alt, HEIGHT, on_pick=selection.toggle)


def has_pairs(units: CodeUnits) -> bool:
    """Whether whole codes are cells of a square that can be drawn."""
    return units.n_codebooks == 2 and units.codebook_size <= LARGEST_BOOK


def pairs_chart(space: CodeSpace, shown: list[int], selection: Selection) -> None:
    """Heat map of whole codes of two codebooks."""
    size = space.units.codebook_size
    tokens = np.zeros(size * size)
    tokens[space.whole.units] = space.whole.tokens
    codes = np.arange(size * size).reshape(size, size)
    is_whole = space.units.of_book is None
    data = CodePairsData(
        tokens=tokens.reshape(size, size),
        picks=space.units.of(codes),
        selected=np.array([divmod(unit, size) for unit in shown], np.int64).reshape(-1, 2) if is_whole else np.zeros((0, 2), np.int64),
        lines=() if is_whole else tuple(shown),
        book=space.units.of_book or 0,
    )
    alt = f"Tokens by pair of codewords of two codebooks: {len(space.whole.units):,} of {size * size:,} pairs are in use."
    live_chart(code_pairs_figure, data, "space-pairs", alt, HEIGHT, on_pick=selection.toggle)


def together_units(space: CodeSpace, shown: list[int]) -> np.ndarray:
    """Selected codes, then those that their carriers carry most, (n,) int64."""
    use = space.use
    partners = use.partners(np.array(shown))
    nearest = use.units[np.argsort(-partners, kind="stable")]
    return np.array(list(dict.fromkeys([*shown[: MOST_TOGETHER // 2], *nearest.tolist()]))[:MOST_TOGETHER], np.int64)


def together_chart(space: CodeSpace, shown: list[int], selection: Selection) -> None:
    """Which codes are carried together."""
    units = together_units(space, shown)
    chosen = tuple(unit in shown for unit in units.tolist())
    names, use = tuple(map(space.units.name, units.tolist())), space.use
    data = CodesTogetherData(units, names, use.together(units), use.n_users, chosen, len(use.units))
    alt = f"How often each pair of {len(units)} codes is carried by one user, as a multiple of chance; selected codes come first."
    live_chart(codes_together_figure, data, "space-together", alt, HEIGHT + 40, on_pick=selection.toggle)


def genres_chart(lifts: list[Lift], has_genres: bool) -> None:
    """Lift of genres with intervals."""
    shown = shown_lifts(lifts)
    note = "" if has_genres else "This data has no genres"
    data = GenreLiftData(tuple(for_chart(one.label) for one in shown), tuple(shown), note)
    alt = "; ".join(f"{one.label} {one.lift:.2f} ({one.low:.2f} to {one.high:.2f})" for one in shown[:8])
    live_chart(genre_lift_figure, data, "space-genres", f"Genres against the catalogue: {alt or note or 'none'}.", HEIGHT + 40)
