"""Texts of figures and differences, the same on the server and in the browser while the threshold is dragged."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sparcode.metrics.registry import METRICS

Tone = Literal["better", "worse", "same"]


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
