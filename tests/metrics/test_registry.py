from __future__ import annotations

import pytest

from sparcode.metrics.cost import Latency
from sparcode.metrics.registry import METRICS


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("recall", 0.28349, "0.283"),
        ("size_bytes", 12_345_678, "12.35 MB"),
        ("dead_share", 0.125, "12.5 %"),
        ("p95_ms", 0.0614, "0.061 ms"),
        ("distinct_codes", 1234, "1,234"),
    ],
)
def test_numbers_are_written_with_their_unit(name: str, value: float, text: str) -> None:
    assert METRICS[name].text(value) == text


def test_directions_decide_what_is_better() -> None:
    assert METRICS["ndcg"].is_better(0.3, 0.2)
    assert METRICS["p50_ms"].is_better(0.2, 0.3)
    assert not METRICS["p50_ms"].is_better(0.2, 0.2)


def test_every_latency_figure_is_registered() -> None:
    assert {name for name in Latency._fields if name.endswith("_ms")} <= METRICS.keys()
