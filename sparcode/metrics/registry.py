"""Names, units, directions and formats of all reported numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """How a number is shown: `name` is its key in records, `label` the text, `direction` which way is better.

    `unit` is empty for a plain ratio or count. `number_format` applies to the value times `scale` (bytes to MB, share to percent).
    """

    name: str
    label: str
    unit: str
    direction: Literal["higher", "lower"]
    number_format: str
    scale: float = 1.0

    def text(self, value: float) -> str:
        """The formatted value with its unit."""
        number = format(value * self.scale, self.number_format)
        return f"{number} {self.unit}" if self.unit else number

    def is_better(self, value: float, other: float) -> bool:
        """Whether `value` is strictly better than `other`."""
        return value > other if self.direction == "higher" else value < other


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("recall", "Recall", "", "higher", ".3f"),
        Metric("precision", "Precision", "", "higher", ".3f"),
        Metric("ndcg", "NDCG", "", "higher", ".3f"),
        Metric("perplexity", "Codebook perplexity", "", "higher", ".1f"),
        Metric("dead_share", "Unused codewords", "%", "lower", ".1f", 100),
        Metric("distinct_codes", "Distinct codes", "", "higher", ",.0f"),
        Metric("density", "Scores kept", "%", "lower", ".1f", 100),
        Metric("postings", "Scores in the index", "", "lower", ",.0f"),
        Metric("size_bytes", "Size", "MB", "lower", ",.2f", 1e-6),
        Metric("p50_ms", "Latency, median", "ms", "lower", ".3f"),
        Metric("p95_ms", "Latency, 95th percentile", "ms", "lower", ".3f"),
        Metric("p99_ms", "Latency, 99th percentile", "ms", "lower", ".3f"),
        Metric("mean_ms", "Latency, mean", "ms", "lower", ".3f"),
        Metric("train_seconds", "Training time", "s", "lower", ",.1f"),
        Metric("unseen_codes", "Unseen codes", "", "lower", ",.0f"),
    )
}
