"""Chart of what every test user gains or loses from one run to another."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from app.charts.frame import Figure, name_columns, titled_figure, with_note
from app.theme import series_style, text_colour
from sparcode.config import DEFAULT_K

NAME: Final = "Every test user, from the largest loss to the largest gain"
# More bars are thinner than a pixel: of more users evenly spaced ranks are drawn.
MOST_BARS: Final = 1_000


class UserDifferencesData(NamedTuple):
    """Differences of users, (n,) float64 ascending, with their ranks, (n,) int64 from 1, of `n_users`; the runs' labels; the title."""

    title: str
    first: str
    second: str
    ranks: np.ndarray
    differences: np.ndarray
    n_users: int
    mean: float


def user_differences_data(title: str, first: str, second: str, differences: np.ndarray) -> UserDifferencesData:
    """The chart's data from (U,) differences, second less first, in any order."""
    ordered, n_users = np.sort(differences), len(differences)
    at = np.unique(np.linspace(0, n_users - 1, min(MOST_BARS, n_users)).round().astype(np.int64)) if n_users else np.zeros(0, np.int64)
    return UserDifferencesData(title, first, second, at + 1, ordered[at], n_users, float(ordered.mean()) if n_users else 0.0)


def user_differences_figure(data: UserDifferencesData, dark: bool) -> Figure:
    """A bar per user: losses hatched, gains plain, ties empty; a line at the mean."""
    figure = titled_figure(NAME, "users", f"difference in Recall@{DEFAULT_K}", dark, data.title)
    if not data.n_users:
        return with_note(figure, "There is no user to compare")
    for place, name, sign in ((1, f"{data.first} finds more", -1), (0, f"{data.second} finds more", 1)):
        at = np.flatnonzero(np.sign(data.differences) == sign)
        figure.add_bar(
            x=data.ranks[at],
            y=data.differences[at],
            name=name,
            width=1.0 if data.n_users <= MOST_BARS else data.n_users / MOST_BARS,
            marker={"color": series_style(place, dark)["marker"]["color"], "pattern": {"shape": "/" if sign < 0 else "", "size": 4}},
            hovertemplate=f"user at rank %{{x:,}} of {data.n_users:,}: %{{y:+.3f}}<extra>%{{fullData.name}}</extra>",
        )
    figure.add_level(data.mean, {"dash": "dot", "width": 1.5, "color": text_colour(dark)}, f"mean {data.mean:+.3f}", "left")
    figure.x.update(range=[0.5, data.n_users + 0.5])
    figure.layout.update(showlegend=True, barmode="overlay", bargap=0)
    name_columns(figure, x="rank of the user by difference")
    return figure
