"""What follows the threshold on the page while it is dragged: the query's lists and the scores of its top items, at every stop."""

from __future__ import annotations

import json

import numpy as np

from app.charts.follow import Column, QueryColumn
from app.charts.query_lists import lengths_takeaway
from app.charts.query_scores import grouped, scores_takeaway, strongest_first
from app.measured.query_story import QueryStory

_DIGITS = 5


def query_columns(story: QueryStory, stops: np.ndarray, version: str, shown: np.ndarray) -> str:
    """Columns and texts of every stop, in the form of `app.charts.threshold_columns`.

    `stops` are (n,) thresholds, `shown` the places of the lists whose length is drawn. Items and lists stay those of the story; their order
    is that of the stop asked for last, until the slider is released.
    """
    explained = story.explained
    lengths = explained.lengths_at(stops)
    above = np.maximum(explained.raw_scores - stops.astype(np.float32)[:, None, None], np.float32(0))
    # NaN where a list does not hold the item.
    contributions = explained.weights * np.nan_to_num(above)  # (n_stops, n_items, n_lists)
    parts = grouped(contributions, story.order)  # (n_stops, n_items, n_parts)
    columns = {
        Column.TAU: [float(f"{tau:.6g}") for tau in stops.tolist()],
        QueryColumn.LENGTHS: lengths[:, shown].tolist(),
        QueryColumn.LENGTHS_TITLE: [lengths_takeaway(len(explained.lists), int(total)) for total in lengths.sum(1).tolist()],
        QueryColumn.PARTS_TITLE: [scores_takeaway(strongest_first(added)) for added in contributions],
        **{QueryColumn.of_part(place): _rounded(parts[:, :, place]) for place in range(parts.shape[2])},
    }
    captions = [
        f"τ = {tau:.4g} keeps {total:,} scores of this query's lists" for tau, total in zip(stops.tolist(), lengths.sum(1), strict=True)
    ]
    sent = {"version": version, "stops": list(range(len(stops))), "columns": columns, "tiles": {}, "captions": captions}
    return json.dumps(sent, separators=(",", ":"), allow_nan=False)


def _rounded(values: np.ndarray) -> list[list[float]]:
    return [[float(f"{value:.{_DIGITS}g}") for value in row] for row in values.tolist()]
