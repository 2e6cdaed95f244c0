from __future__ import annotations

import pytest

from sparcode.metrics.cost import Latency
from sparcode.metrics.registry import METRICS, metric_of


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("recall@50", 0.28349, "0.283"),
        ("size_bytes", 12_345_678, "12.35 MB"),
        ("dead_share", 0.125, "12.5 %"),
        ("p95_ms", 0.0614, "0.061 ms"),
        ("distinct_codes", 1234, "1,234"),
    ],
)
def test_numbers_are_written_with_their_unit(name: str, value: float, text: str) -> None:
    assert metric_of(name).text(value) == text


def test_directions_decide_what_is_better() -> None:
    assert metric_of("ndcg").is_better(0.3, 0.2)
    assert metric_of("p50_ms").is_better(0.2, 0.3)
    assert not metric_of("p50_ms").is_better(0.2, 0.2)


def test_labels_carry_cut_and_unit() -> None:
    assert metric_of("recall@20").axis_label == "Recall@20"
    assert metric_of("size_bytes").axis_label == "Size (MB)"


def test_every_latency_figure_is_registered() -> None:
    assert {name for name in Latency._fields if name.endswith("_ms")} <= METRICS.keys()


@pytest.mark.parametrize("name", ["accuracy", "recall@", "recall@x", "p50_ms@5", ""])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown metric"):
        metric_of(name)
