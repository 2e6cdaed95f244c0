"""Everything a search of all settings found, as a chart and a table; what of its front is fine-tuned takes the previews' place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd
import streamlit as st

from app.charts.setting_front import setting_front_data, setting_front_figure
from app.components.data_table import data_table
from app.components.live_chart import live_chart
from app.measured.front_tuning import Codes
from app.measured.setting_grids import GRID, SearchedGrid
from app.session.settings import KEPT
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.setting_grid import GridPoint
from sparcode.config import DEFAULT_K

HEIGHT: Final = 420


class Front(NamedTuple):
    """A search's result, and what of its front is fine-tuned.

    Attributes
    ----------
    found
        The previews.
    settings
        M, K and P on the front, in the order of their fine-tuning.
    tuned
        The points of those that are fine-tuned so far.
    megabytes
        The budget asked for; None: the smallest near the best.
    answer
        Of the fine-tuned points if there are any, else of the previews.
    """

    found: SearchedGrid
    settings: Sequence[Codes]
    tuned: Mapping[Codes, tuple[GridPoint, ...]]
    megabytes: float | None
    answer: GridPoint | None

    @property
    def is_whole(self) -> bool:
        """Whether all of the front is fine-tuned."""
        return len(self.tuned) == len(self.settings)

    @property
    def tuned_points(self) -> list[GridPoint]:
        """All fine-tuned points."""
        return [point for points in self.tuned.values() for point in points]

    @property
    def previews(self) -> list[GridPoint]:
        """Points of settings that are not fine-tuned."""
        return [point for point in self.found.points if point.codes not in self.tuned]

    @property
    def beside_answer(self) -> list[GridPoint]:
        """The points of the answer's kind, since only those compare with it; without an answer the fine-tuned ones, if any."""
        if self.answer is None:
            return self.tuned_points or self.previews
        # The answer may be the preview of a setting that is fine-tuned by now.
        return self.tuned_points if self.is_tuned(self.answer) else list(self.found.points)

    def is_tuned(self, point: GridPoint) -> bool:
        """Whether a point is a fine-tuned one."""
        return point in self.tuned.get(point.codes, ())


def front_chart(front: Front | None, pick: Callable[[GridPoint], None]) -> None:
    """The chart and the table; both `pick` a point. Nothing before a search."""
    if front is None:
        return
    st.subheader("All settings searched", anchor=False)
    previews, tuned = front.previews, front.tuned_points
    shown = [*previews, *tuned]
    title = takeaway(front.beside_answer, front.answer)
    data = setting_front_data(title, previews, tuned, setting_text, front.answer, front.megabytes)
    alt = f"{title}. Recall against size of {len(shown)} settings, {len(tuned)} of them fine-tuned."
    live_chart(setting_front_figure, data, "chart-front", alt, HEIGHT, lambda number: pick(shown[number]))
    _caption(front)
    _table(front, pick)


def setting_text(point: GridPoint) -> str:
    """A point's setting in words."""
    kept = KEPT.options[point.place]
    return f"M = {point.n_codebooks}, K = {point.codebook_size}, P = {point.n_nearest}, {kept} % kept"


def takeaway(points: Sequence[GridPoint], answer: GridPoint | None) -> str:
    """The answer beside the best of all points, in numbers."""
    best = max(points, key=lambda point: (point.recall, -point.size_bytes))
    size, most = (0.0 if point is None else point.size_bytes / 1e6 for point in (answer, best))
    if answer is None:
        return f"Best of all: recall {best.recall:.3f} at {most:.3g} MB"
    if answer == best:
        return f"The best of all fits: recall {best.recall:.3f} at {size:.3g} MB"
    ratio = f"{most / size:,.0f}" if most >= 10 * size else f"{most / size:.1f}"
    return f"{ratio} times smaller for {best.recall - answer.recall:.3f} recall: {most:.3g} → {size:.3g} MB"


def _caption(front: Front) -> None:
    n_points, left_out = len(front.found.points), front.found.left_out
    n_settings = GRID.n_settings - left_out
    tuned = (
        f" {len(front.tuned)} of the {len(front.settings)} settings of the front are fine-tuned, all epochs each, and stand where that has "
        "moved them; their own front is the thin line."
        if front.tuned
        else ""
    )
    st.caption(
        f"Previews: k-means on the trained backbone, nothing fine-tuned, so all settings are compared alike; {n_settings} of "
        f"{GRID.n_settings} settings of M, K and P ({left_out} have more than {GRID.max_codes:,} codes) at "
        f"{n_points // max(1, n_settings)} thresholds.{tuned} Recall is of validation users, which choose; the figures above are of test "
        "users. Click a point, or pick a row, to open its setting."
    )


def _table(front: Front, pick: Callable[[GridPoint], None]) -> None:
    rows = pareto_front(front.found.points, lambda point: point.size_bytes)
    after = [_at_same_place(point, front) for point in rows]
    recall = f"Recall@{DEFAULT_K}, validation"
    table = pd.DataFrame(
        {
            "M": [point.n_codebooks for point in rows],
            "K": [point.codebook_size for point in rows],
            "P": [point.n_nearest for point in rows],
            "scores kept (%)": [KEPT.options[point.place] for point in rows],
            "index size (MB)": [point.size_bytes / 1e6 for point in rows],
            recall: [point.recall for point in rows],
            "fine-tuned (MB)": [None if point is None else point.size_bytes / 1e6 for point in after],
            f"{recall}, fine-tuned": [None if point is None else point.recall for point in after],
        }
    )

    def picked() -> None:
        chosen = st.session_state["front-table"].selection.rows
        if chosen:
            pick(rows[chosen[0]])

    with st.expander(f"The {len(rows)} points of the previews' front as a table"):
        options = {"hide_index": True, "on_select": picked, "selection_mode": "single-row"}
        data_table(table, "Points of the front", "front-table", **options)


def _at_same_place(point: GridPoint, front: Front) -> GridPoint | None:
    """The fine-tuned point of a preview's setting and threshold; None before it is fine-tuned."""
    return next((other for other in front.tuned.get(point.codes, ()) if other.place == point.place), None)
