"""What an index, a query and a training cost as the data grows: a model fitted to measured runs and checked on others.

    python -m benchmarks.cost_model --report

Runs span two decades and more of items and of users; `benchmarks/cost_plan.py` has their sizes, `benchmarks/cost_formulas.py` the laws.
Those held out, some beyond the range of the others, are predicted from their sizes alone, so that a wrong count of postings makes a wrong
time. Seconds are processor time of one thread, because other work on the machine changes wall time more. --runs keeps what was measured.
--report adds what the model says of larger data, see `benchmarks/cost_report.py`. The last line holds the worst share by which a size is
missed, the worst factor by which a time is missed, the median one, and the share of times within a factor of two.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import Quick, print_figures, run_command, set_threads
from benchmarks.cost_formulas import (
    COUNTS,
    IN_USE,
    SECONDS,
    CostModel,
    Size,
    Terms,
    fit_codes_in_use,
    fit_product,
    fit_sum,
    graph_bytes,
    index_bytes,
    model_bytes,
)
from benchmarks.cost_plan import QUICK, RunPlan
from benchmarks.cost_report import Assumptions, report_lines
from benchmarks.cost_runs import GRAPH, Point, measured_points
from sparcode.index import build_kernels, kernels
from sparcode.runs.machine import machine_facts

BYTES: dict[str, Callable[[Size], float]] = {
    "bytes, float32": lambda size: index_bytes(size, "float32"),
    "bytes, quantized": lambda size: index_bytes(size, "quantized"),
    "bytes, model": model_bytes,
    "bytes, HNSW": lambda size: graph_bytes(size, GRAPH.n_links),
}


def main(
    runs: Annotated[Path | None, typer.Option("--runs", help="File of measured runs; what it holds is not measured again.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Print what the model says of larger data.")] = False,
    quick: Quick = False,
) -> None:
    """Measure, fit, print the held-out runs beside what was predicted, and one line of JSON at the end."""
    set_threads(1)
    points = _points(runs, QUICK if quick else RunPlan())
    model = fitted(points)
    print(f"{machine_facts()}; processor time of one thread\n")
    print("\n".join([*law_lines(model, points), "", *held_out_lines(model, points), "", *summary_lines(model, points)]))
    if report:
        print("\n".join(["", *report_lines(model, Assumptions())]))
    print_figures(figures(model, points), 3)


def _points(path: Path | None, plan: RunPlan) -> list[Point]:
    if path is not None and path.exists():
        return [Point(law, held_out, Size(**size), measured) for law, held_out, size, measured in json.loads(path.read_text())]
    kernels.warm_up()
    build_kernels.warm_up()
    points = list(measured_points(plan))
    if path is not None:
        path.write_text(json.dumps([[one.law, one.held_out, one.size._asdict(), one.measured] for one in points]))
    return points


def fitted(points: Iterable[Point]) -> CostModel:
    """Fit every law to the points that are not held out."""
    by_law: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        if not point.held_out:
            by_law[point.law].append(point)

    def fit(law: str, terms: Callable, to: Callable) -> dict[str, float]:
        return to([terms(point.size) for point in by_law[law]], [point.measured for point in by_law[law]])

    in_use = [(point.size, point.measured) for point in by_law[IN_USE]]
    return CostModel(
        {law: fit(law, terms, fit_product) for law, terms in COUNTS.items()},
        {law: fit(law, terms, fit_sum) for law, terms in SECONDS.items()},
        fit_codes_in_use(*zip(*in_use, strict=True)),
    )


def predicted(model: CostModel, point: Point) -> float:
    """What the model says of a point's size, from nothing that was measured."""
    size = point.size._replace(lists_read=0.0, postings_read=0.0)
    return BYTES[point.law](size) if point.law in BYTES else model.of(point.law, size)


def ratios(model: CostModel, points: Iterable[Point], laws: Iterable[str], held_out: bool = True) -> np.ndarray:
    """Predicted over measured of some laws' points."""
    wanted = set(laws)
    return np.array([predicted(model, one) / one.measured for one in points if one.law in wanted and one.held_out == held_out])


def figures(model: CostModel, points: Sequence[Point]) -> dict[str, float]:
    """The figures of the last line, over held-out points."""
    sizes, seconds = ratios(model, points, BYTES), np.abs(np.log(ratios(model, points, SECONDS)))
    return {
        "worst_size_error": float(np.abs(sizes - 1).max()),
        "worst_seconds_factor": float(np.exp(seconds.max())),
        "median_seconds_factor": float(np.exp(np.median(seconds))),
        "seconds_within_2x": float(np.mean(seconds <= math.log(2))),
    }


def law_lines(model: CostModel, points: Sequence[Point]) -> list[str]:
    """What was fitted, as a table."""
    lines = ["| law | fitted to runs | fit |", "|---|---|---|"]
    for law, factors in model.counts.items():
        lines.append(f"| {law} | {len(ratios(model, points, [law], False))} | {_product(factors)} |")
    lines.append(f"| codes in use | {len(ratios(model, points, [IN_USE], False))} | C x (1 - exp(-{_product(model.in_use)})) |")
    for law, factors in model.seconds.items():
        parts = " + ".join(f"{1e9 * factor:.3g} x {name}" for name, factor in factors.items() if factor > 0)
        lines.append(f"| {law}, ns | {len(ratios(model, points, [law], False))} | {parts} |")
    return lines


def held_out_lines(model: CostModel, points: Sequence[Point]) -> list[str]:
    """Every held-out run, as a table; those whose size or setting leaves the range of the fitted ones are marked."""
    lines = ["| held out | setting | predicted | measured | ratio |", "|---|---|---|---|---|"]
    for law in (*BYTES, *COUNTS, IN_USE, *SECONDS):
        inside = [point.size for point in points if point.law == law and not point.held_out]
        for point in points:
            if point.law == law and point.held_out:
                said = predicted(model, point)
                mark = " *" if beyond(point.size, inside) else ""
                row = (law, _words(point.size) + mark, _number(law, said), _number(law, point.measured), f"{said / point.measured:.2f}")
                lines.append(f"| {' | '.join(row)} |")
    return [*lines, "", "\\* beyond the range of the fitted runs in items, users or codewords"]


def beyond(size: Size, fitted_sizes: Sequence[Size]) -> bool:
    """Whether items, users or codewords lie outside those of the fitted runs."""
    axes = ("n_items", "n_users", "codebook_size")
    return any(
        not min(getattr(one, axis) for one in fitted_sizes) <= getattr(size, axis) <= max(getattr(one, axis) for one in fitted_sizes)
        for axis in axes
    )


def summary_lines(model: CostModel, points: Sequence[Point]) -> list[str]:
    """Lowest and highest ratio of every law, of the fitted and the held-out runs."""
    lines = ["| law | runs fitted | their ratios | runs held out | their ratios |", "|---|---|---|---|---|"]
    for law in (*BYTES, *COUNTS, IN_USE, *SECONDS):
        own, others = (ratios(model, points, [law], held_out) for held_out in (False, True))
        spans = [f"{part.min():.2f} to {part.max():.2f}" if len(part) else "-" for part in (own, others)]
        lines.append(f"| {law} | {len(own)} | {spans[0]} | {len(others)} | {spans[1]} |")
    return lines


def _product(factors: Terms) -> str:
    return " x ".join([f"{factors['factor']:.3g}", *(f"{name}^{power:.2f}" for name, power in factors.items() if name != "factor")])


def _words(size: Size) -> str:
    usual, said = Size(0), []
    short = {
        "n_items": "I", "n_users": "U", "n_lists": "lists", "density": "kept", "n_tokens": "T", "n_nearest": "P", "n_codebooks": "M",
        "codebook_size": "K", "token_dim": "D", "interaction_dim": "H", "hidden_dim": "width", "history": "history",
        "batch_size": "batch", "n_negatives": "negatives",
    }  # fmt: skip
    for name, letters in short.items():
        value = getattr(size, name)
        if value != getattr(usual, name):
            said.append(f"{letters} {value:,.4g}" if isinstance(value, float) else f"{letters} {value:,}")
    return ", ".join(said)


def _number(law: str, value: float) -> str:
    if law in SECONDS:
        return f"{value * 1e6:,.1f} us" if value < 1e-3 else f"{value * 1e3:,.1f} ms" if value < 1 else f"{value:,.2f} s"
    return f"{value / 1e6:,.3f} MB" if law in BYTES else f"{value:,.1f}"


if __name__ == "__main__":
    run_command(main)
