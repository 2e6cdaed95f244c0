"""Chart of how many tokens take each code, most used first, with the selected codes marked."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.theme import series_style, text_colour

TITLE: Final = "Tokens by code"
MOST_BARS: Final = 256
# More labels than this would lie on each other.
MOST_LABELS: Final = 12


class CodeBarsData(NamedTuple):
    """Codes, most used first, and those of them that are selected.

    `units` (n,) int64 and their `names`, `ranks` (n,) int64 from 1, shares of all tokens and of all users, (n,) float64, `selected` (n,)
    bool. `even` is the share each of all codes in use would have; `n_units` are in use in all.
    """

    units: np.ndarray
    names: tuple[str, ...]
    ranks: np.ndarray
    token_shares: np.ndarray
    user_shares: np.ndarray
    selected: np.ndarray
    even: float
    n_units: int


def shown_bars(order: np.ndarray, selected: np.ndarray) -> np.ndarray:
    """Which of n codes are drawn: positions in `order`, the most used `MOST_BARS` and every selected one; `selected` are places."""
    return np.union1d(np.arange(min(MOST_BARS, len(order))), np.flatnonzero(np.isin(order, selected)))


def code_bars_figure(data: CodeBarsData, dark: bool) -> Figure:
    """A bar per code; selected ones in another colour, hatched and named."""
    figure = titled_figure(TITLE, "codes, most used first", "share of all tokens", dark, _takeaway(data))
    if len(data.units) == 0:
        return with_note(figure, "No code is in use")
    plain, marked = series_style(0, dark)["marker"]["color"], series_style(1, dark)["marker"]["color"]
    texts = [f"code {name}: {users:.1%} of users" for name, users in zip(data.names, data.user_shares.tolist(), strict=True)]
    for is_selected, name, colour in ((False, "codes", plain), (True, "selected", marked)):
        at = np.flatnonzero(data.selected == is_selected)
        figure.add_bar(
            x=data.ranks[at],
            y=data.token_shares[at],
            customdata=data.units[at],
            text=[texts[place] for place in at.tolist()],
            textposition="none",
            name=name,
            width=1.0,
            marker={
                "color": colour,
                "pattern": {"shape": "/" if is_selected else "", "size": 4},
            },
            hovertemplate="%{text}, %{y:.2%} of tokens; click to select<extra></extra>",
        )
    chosen = np.flatnonzero(data.selected)
    # Thin bars are hard to find, and to hit.
    figure.add_scatter(
        x=data.ranks[chosen],
        y=data.token_shares[chosen],
        customdata=data.units[chosen],
        name="marks",
        mode="markers+text",
        text=[data.names[place] if number < MOST_LABELS else "" for number, place in enumerate(chosen.tolist())],
        textposition="top center",
        textfont={"size": 14, "color": text_colour(dark)},
        marker={"symbol": "star-diamond", "size": 11, "color": marked, "line": {"width": 1, "color": text_colour(dark)}},
        showlegend=False,
        cliponaxis=False,
        hovertemplate="code %{text} is selected; click to take it away<extra></extra>",
    )
    figure.add_level(data.even, {"dash": "dot", "width": 1.5, "color": text_colour(dark)}, "even use", "right")
    figure.y.update(tickformat=".1%", rangemode="tozero")
    name_columns(figure, x="place of the code by use", text="code")
    figure.layout.update(showlegend=bool(data.selected.any()), barmode="overlay", bargap=0)
    return figure


def _takeaway(data: CodeBarsData) -> str:
    if len(data.units) == 0 or data.even <= 0:
        return ""
    highest = f"The most used code takes {float(data.token_shares.max()) / data.even:.1f} times its even share"
    return highest if data.n_units <= len(data.units) else f"{highest}; {len(data.units)} of {data.n_units:,} codes drawn"
