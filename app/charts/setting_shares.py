"""Chart of which settings of a sweep matter: the share of a figure's variance that each explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.kept.sweep_words import FIGURES, importance_words, long_name
from app.theme import series_style
from sparcode.sweep.answer import Figure as SweepFigure

NAME: Final = "Which settings matter"


class SettingSharesData(NamedTuple):
    """Settings in words, most important first, and their shares, (n,) float64; the figure in words; `note` in place of bars."""

    title: str
    settings: tuple[str, ...]
    shares: np.ndarray
    figure: str
    note: str


def setting_shares_data(shares: Mapping[str, float], of: SweepFigure, note: str = "Too few trials differ to tell") -> SettingSharesData:
    """The chart's data, from setting -> share."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    values = np.array([share for _, share in ordered], dtype=np.float64)
    return SettingSharesData(importance_words(shares, of), tuple(long_name(name) for name, _ in ordered), values, FIGURES[of], note)


def setting_shares_figure(data: SettingSharesData, dark: bool) -> Figure:
    """A horizontal bar per setting, the longest on top."""
    figure = titled_figure(NAME, f"of the differences in {data.figure}", "", dark, data.title)
    if len(data.shares) == 0:
        return with_note(figure, data.note)
    figure.add_bar(
        x=data.shares[::-1],
        y=list(data.settings[::-1]),
        orientation="h",
        marker={"color": series_style(0, dark)["marker"]["color"]},
        text=[f"{share:.0%}" for share in data.shares[::-1].tolist()],
        textposition="outside",
        cliponaxis=False,
        hovertemplate=f"%{{y}} explains %{{x:.1%}} of the differences in {data.figure} between trials<extra></extra>",
    )
    figure.x.update(tickformat=".0%", range=[0, 1.12], tickvals=np.linspace(0, 1, 3))
    figure.y.update(type="category")
    figure.layout["showlegend"] = False
    name_columns(figure, y="setting", text="share in percent")
    return figure
