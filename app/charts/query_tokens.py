"""Chart of a query's tokens: the nearest codes of each, by their weight for the token, with distances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.theme import series_style, text_colour

TITLE = "Tokens and their nearest codes"
# How much weaker the colour of the last code is than that of the first, and what is strong enough for text in the background's colour.
_FADING, _STRONG = 0.6, 0.75


class QueryTokensData(NamedTuple):
    """N tokens by name, from top to bottom; shares and squared distances of their P nearest codes, (N, P), and the codes' names."""

    tokens: tuple[str, ...]
    shares: np.ndarray
    distances: np.ndarray
    codes: tuple[tuple[str, ...], ...]


def query_tokens_figure(data: QueryTokensData, dark: bool) -> Figure:
    """A bar per token, divided among its nearest codes, the nearest at the left."""
    takeaway = ""
    if len(data.tokens):
        takeaway = f"The nearest code has {float(np.mean(data.shares[:, 0])):.0%} of a token's weight on average"
    figure = titled_figure(TITLE, "weight of a code for its token", "", dark, takeaway)
    if not data.tokens:
        return with_note(figure, "This model's codes are the items of the history")
    colour = series_style(0, dark)["line"]["color"]
    background, n_codes = figure.layout["plot_bgcolor"], data.shares.shape[1]
    for rank in range(n_codes):
        distances = data.distances[:, rank].tolist()
        texts = [f"{codes[rank]}<br>d² {distance:.2f}" for codes, distance in zip(data.codes, distances, strict=True)]
        # Neighbours differ by their border; ranks by how strong the colour is.
        strength = 1 - _FADING * rank / max(1, n_codes - 1)
        readable = background if strength > _STRONG else text_colour(dark)
        figure.add_bar(
            x=data.shares[:, rank].astype(np.float64),
            y=list(data.tokens),
            orientation="h",
            name=f"nearest {rank + 1}",
            text=texts,
            texttemplate="%{text}",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            insidetextfont={"color": readable},
            marker={"color": colour, "opacity": strength, "line": {"color": background, "width": 2}},
            showlegend=False,
            hovertemplate=f"%{{y}}, nearest {rank + 1}: %{{text}}, weight %{{x:.1%}}<extra></extra>",
        )
    figure.x.update(range=[0, 1], tickformat=".0%")
    figure.y.update(autorange="reversed", type="category")
    name_columns(figure, y="token", text="code and squared distance")
    figure.layout.update(barmode="stack", bargap=0.25, uniformtext={"minsize": 10, "mode": "hide"})
    return figure
