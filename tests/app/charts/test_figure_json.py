from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import pytest

from app.charts import figure_json as figure_json_module
from app.charts.figure_json import figure_json
from app.jobs.byte_cache import ByteCache


class Points(NamedTuple):
    label: str
    values: np.ndarray
    rest: tuple[object, ...] = ()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What `figure` below was called for; the cache is empty."""
    calls.clear()
    monkeypatch.setattr(figure_json_module, "_kept", ByteCache(10**6, len))
    return calls


calls: list[bool] = []


def figure(data: Points, dark: bool) -> go.Figure:
    calls.append(dark)
    return go.Figure(go.Scatter(y=data.values, name=data.label))


def other_figure(data: Points, dark: bool) -> go.Figure:
    return go.Figure(go.Bar(y=data.values))


def test_it_is_the_figure_of_the_data(made: list[bool]) -> None:
    data = Points("a", np.array([1.0, 2.0]))
    assert json.loads(figure_json(figure, data, False)) == json.loads(figure(data, False).to_json())
    assert json.loads(figure_json(other_figure, data, False))["data"][0]["type"] == "bar"


def test_the_same_content_is_drawn_once(made: list[bool]) -> None:
    first = figure_json(figure, Points("a", np.arange(3.0)), False)
    assert figure_json(figure, Points("a", np.arange(3.0)), False) is first
    assert made == [False]


@pytest.mark.parametrize(
    "other",
    [
        Points("b", np.arange(3.0)),
        Points("a", np.array([0.0, 1.0, 5.0])),
        Points("a", np.arange(3)),
        Points("a", np.arange(3.0)[:, None]),
        Points("a", np.arange(3.0), (None,)),
        Points("a", np.arange(3.0), (1,)),
        Points("a", np.arange(3.0), ("1",)),
        Points("a", np.arange(3.0), ((1,),)),
    ],
    ids=range(8),
)
def test_other_content_is_drawn_anew(made: list[bool], other: Points) -> None:
    figure_json(figure, Points("a", np.arange(3.0)), False)
    figure_json(figure, other, False)
    figure_json(figure, other, True)
    assert made == [False, False, True]


def test_an_array_changed_in_place_is_drawn_anew(made: list[bool]) -> None:
    values = np.arange(3.0)
    figure_json(figure, Points("a", values), False)
    values[0] = 9
    figure_json(figure, Points("a", values), False)
    assert len(made) == 2


@pytest.mark.parametrize("hidden", [[1], {"a": 1}, object()])
def test_content_that_could_change_unseen_is_refused(made: list[bool], hidden: object) -> None:
    with pytest.raises(TypeError, match=f"got {type(hidden).__name__}"):
        figure_json(figure, Points("a", np.zeros(1), (hidden,)), False)
