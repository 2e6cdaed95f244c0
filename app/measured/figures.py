"""The exact figures of one index at one threshold, and their texts and differences, as in the browser while the threshold is dragged."""

from __future__ import annotations

from typing import Literal, NamedTuple

from app.measured.measured_index import Kind, MeasuredIndex
from sparcode.metrics.registry import METRICS

Tone = Literal["better", "worse", "same"]


class Figures(NamedTuple):
    """The exact figures of one configuration; accuracies are means over the test users.

    Attributes
    ----------
    kind
        Whether of the preview or of the fine-tuned model.
    size_bytes, postings
        Bytes of the index, and the scores above the threshold.
    p50_ms, p95_ms
        Time of a query, median and 95th percentile; None before they are measured.
    codes_in_use
        Distinct codes of the training queries.
    perplexity
        Mean over codebooks.
    epochs
        Of fine-tuning; 0 for a preview.
    """

    kind: Kind
    recall: float
    ndcg: float
    size_bytes: int
    postings: int
    p50_ms: float | None
    p95_ms: float | None
    codes_in_use: int
    perplexity: float
    epochs: int = 0


def figures_of(measured: MeasuredIndex, stop: int) -> Figures:
    """The figures of an index at one stop of the threshold; the latency only if it was measured there."""
    point, timed = measured.point(stop), measured.latencies().get(stop)
    p50_ms, p95_ms = (None, None) if timed is None else (timed.latency.p50_ms, timed.latency.p95_ms)
    usage = measured.usage
    return Figures(
        kind=measured.called,
        recall=point.recall,
        ndcg=point.ndcg,
        size_bytes=point.total_bytes,
        postings=point.kept_postings,
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        codes_in_use=usage.codes_in_use,
        perplexity=float(usage.perplexity.mean()),
        epochs=measured.n_epochs,
    )


class Delta(NamedTuple):
    """A difference in words, and whether it is for the better; empty text where there is nothing to compare with."""

    text: str
    tone: Tone


NO_DELTA = Delta("", "same")


def figure_text(name: str, value: float | None) -> str:
    """A metric's value as text; an ellipsis while it is unknown."""
    return "…" if value is None else METRICS[name].text(value)


def delta(name: str, value: float | None, before: float | None) -> Delta:
    """The difference of two values of a metric; None is an unknown value."""
    if value is None or before is None:
        return NO_DELTA
    metric = METRICS[name]
    number = format((value - before) * metric.scale, f"+{metric.number_format}")
    if not any(digit in number for digit in "123456789"):
        return Delta("no change", "same")
    unit = f" {metric.unit}" if metric.unit else ""
    return Delta(f"{number}{unit}", "better" if metric.is_better(value, before) else "worse")
