"""One setting has the same figures on every page: those that ship with the studio agree with each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.recorded.files import DESCRIPTION
from sparcode.comparison.peers import SPARCODE

RECORDED = Path(__file__).resolve().parents[3] / "assets" / "recorded"
# Bytes of an index in memory or on disk, and sums of scores in another order.
SIZE, ACCURACY = 1e-3, 1e-3


def test_compare_and_train_tell_the_same_of_the_default_setting() -> None:
    recorded = json.loads((RECORDED / DESCRIPTION).read_text(encoding="utf-8"))
    (compare,) = (row for row in recorded["servings"][0]["points"] if (row["name"], row["setting"]) == (SPARCODE, "20% of scores"))
    train = recorded["trainings"][0]["result"]
    for figure in ("recall", "ndcg"):
        assert train[figure] == pytest.approx(compare[figure], rel=ACCURACY)
    assert train["size_bytes"] == pytest.approx(compare["size_bytes"], rel=SIZE)
