from __future__ import annotations

import numpy as np
import pytest

from app.charts.history_lengths import history_lengths_data
from app.components.data_profile import profile_table
from sparcode.data.profile import profile_of
from tests.app.charts.checked import history_lengths_figure
from tests.tiny import tiny_data


@pytest.mark.parametrize("dark", [False, True])
def test_bars_are_named_by_the_lengths_they_hold_and_start_at_the_shortest(dark: bool) -> None:
    data = history_lengths_data(np.array([1, 2, 4, 8]), np.array([0, 3, 1]), 3.0)
    assert data.labels == ("2 to 3", "4 to 7")
    (bars,) = history_lengths_figure(data, dark).data
    assert list(bars.x) == ["2 to 3", "4 to 7"]
    assert list(bars.y) == [3, 1]
    assert history_lengths_figure(data, dark).layout.title.text == "Half of the users have at most 3 items"
    assert history_lengths_data(np.array([1, 2]), np.array([5]), 1.0).labels == ("1",)


def test_the_table_has_every_figure_and_each_reason() -> None:
    table = dict(profile_table(profile_of(tiny_data(), {"malformed rows": 1234})).to_numpy().tolist())
    assert table["users"] == "120"
    assert table["left out: malformed rows"] == "1,234"
    assert "order within a history is arbitrary" in table["times"] or " to " in table["times"]
