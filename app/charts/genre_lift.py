"""Chart of which genres are over-represented among the items that codes rank first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.theme import series_style, text_colour
from sparcode.space.lift import Lift

TITLE: Final = "Genres among the items ranked first, against the catalogue"
MOST_GENRES: Final = 18
# Verdict -> word of the legend and place in the palette, which gives colour and symbol.
_KINDS: Final = {"more": ("over-represented", 1), "less": ("under-represented", 0), "unclear": ("unclear: may be 1", 9)}
_LOWEST: Final = 1 / 32


class GenreLiftData(NamedTuple):
    """Lifts, the most over-represented first, with names fit for a chart; a note stands in place of none."""

    names: tuple[str, ...]
    lifts: tuple[Lift, ...]
    note: str = ""


def shown_lifts(lifts: Sequence[Lift]) -> list[Lift]:
    """At most `MOST_GENRES` of them: both ends of the order, without labels that neither occur nor are missing beyond chance."""
    kept = [one for one in lifts if one.count or one.verdict == "less"]
    if len(kept) <= MOST_GENRES:
        return kept
    half = MOST_GENRES // 2
    return [*kept[:half], *kept[-half:]]


def genre_lift_figure(data: GenreLiftData, dark: bool) -> Figure:
    """A point per genre with its interval, on a logarithmic axis; the line at 1 is the catalogue's own share."""
    figure = titled_figure(TITLE, "times as frequent", "", dark, _takeaway(data))
    if data.note or not data.lifts:
        return with_note(figure, data.note or "No genre occurs among these items")
    labels = [f"{name} · {one.count} of {one.n}" for name, one in zip(data.names, data.lifts, strict=True)]
    for verdict, (word, place) in _KINDS.items():
        at = [row for row, one in enumerate(data.lifts) if one.verdict == verdict]
        if not at:
            continue
        lifts = [data.lifts[row] for row in at]
        values = [max(_LOWEST, one.lift) for one in lifts]
        style = series_style(place, dark)["marker"]
        figure.add_scatter(
            x=values,
            y=[labels[row] for row in at],
            mode="markers",
            name=word,
            marker={**style, "size": 12},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, one.high - value) for one, value in zip(lifts, values, strict=True)],
                "arrayminus": [value - max(_LOWEST, min(one.low, value)) for one, value in zip(lifts, values, strict=True)],
                "color": style["color"],
                "thickness": 2,
            },
            text=[
                f"{one.lift:.2f} times ({one.low:.2f} to {one.high:.2f}): {one.count} of {one.n}, catalogue {one.in_catalogue:,} of "
                f"{one.n_items:,}"
                for one in lifts
            ],
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    figure.layout.setdefault("shapes", []).append(
        {"type": "line", "x0": 1, "x1": 1, "y0": 0, "y1": 1, "yref": "y domain", "line": {"dash": "dot", "color": text_colour(dark)}}
    )
    figure.x.update(
        type="log", tickvals=[1 / 32, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16], ticktext=["0", "⅛", "¼", "½", "1", "2", "4", "8", "16"]
    )
    figure.y.update(type="category", categoryorder="array", categoryarray=labels[::-1])
    figure.layout.update(showlegend=True)
    name_columns(figure, y="genre", text="interval and counts")
    return figure


def _takeaway(data: GenreLiftData) -> str:
    more = [(name, one) for name, one in zip(data.names, data.lifts, strict=True) if one.verdict == "more"]
    if not more:
        return "No genre is over-represented beyond chance" if data.lifts and not data.note else ""
    name, first = more[0]
    return f"{name} is {first.lift:.1f} times as frequent as in the catalogue ({first.low:.1f} to {first.high:.1f})"
