from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import cost_model
from benchmarks.cost_formulas import COUNTS, IN_USE, SECONDS, CostModel, Size, index_bytes, multiplied, summed
from benchmarks.cost_model import BYTES, figures, fitted, held_out_lines, predicted, summary_lines
from benchmarks.cost_report import (
    RANKS,
    Assumptions,
    Serving,
    build_seconds,
    network_seconds,
    rank_seconds,
    report_lines,
    share_at,
)
from benchmarks.cost_runs import Point
from tests.benchmarks.test_cost_formulas import SIZES

PLANTED = CostModel(
    {law: {"factor": 1.5} | dict.fromkeys(terms(SIZES[0]), 0.5) for law, terms in COUNTS.items()},
    {law: dict.fromkeys(terms(SIZES[0]), 2e-9) for law, terms in SECONDS.items()},
    {"factor": 0.01, "tokens": 0.7, "P": 0.5, "C": -0.6},
)


def planted_points(held_out_factor: float = 1.0) -> list[Point]:
    """Points of every law as `PLANTED` has them; half of them held out, and measured so many times as large."""
    points = []
    for place, size in enumerate(PLANTED.with_reads(size) for size in SIZES):
        held_out = place % 2 == 1
        for law in (*BYTES, *COUNTS, IN_USE, *SECONDS):
            if law in BYTES:
                value = BYTES[law](size)
            elif law in COUNTS:
                value = multiplied(PLANTED.counts[law], COUNTS[law](size))
            else:
                value = PLANTED.of(law, size) if law == IN_USE else summed(PLANTED.seconds[law], SECONDS[law](size))
            points.append(Point(law, held_out, size, value * (held_out_factor if held_out else 1)))
    return points


def test_planted_runs_are_predicted_and_nothing_held_out_is_fitted_to() -> None:
    found = figures(fitted(planted_points()), planted_points())
    assert found["worst_size_error"] == 0
    assert found["worst_seconds_factor"] == pytest.approx(1, abs=1e-3)
    thrice = figures(fitted(planted_points(3.0)), planted_points(3.0))
    assert thrice["worst_size_error"] == pytest.approx(2 / 3)
    assert thrice["median_seconds_factor"] == pytest.approx(3, rel=1e-3)
    assert thrice["seconds_within_2x"] == 0


def test_what_a_run_read_is_not_known_to_its_prediction() -> None:
    points = planted_points()
    point = next(point for point in points if point.law == "search in lists")
    model = fitted(points)
    other = point._replace(size=point.size._replace(lists_read=1e6, postings_read=1e12))
    assert predicted(model, other) == predicted(model, point) > 0


def test_tables_have_every_held_out_run_and_mark_those_beyond_the_fitted_ones() -> None:
    points = [
        *(point for point in planted_points() if not point.held_out),
        Point(
            "bytes, float32", True, Size(9_000, n_lists=20, density=0.1), index_bytes(Size(9_000, n_lists=20, density=0.1), "float32") / 2
        ),
        Point("search in lists", True, Size(10**8), 1.0),
    ]
    lines = held_out_lines(fitted(points), points)
    assert len(lines) == 2 + 2 + 2
    assert lines[2].startswith("| bytes, float32 | I 9,000, lists 20, kept 0.1")
    assert lines[2].endswith("| 2.00 |")
    assert "I 100,000,000 * |" in lines[3]
    assert "| 1.00 s |" in lines[3]
    assert summary_lines(fitted(points), points)[2].endswith("| 1 | 2.00 to 2.00 |")


def test_kept_runs_are_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, asked = tmp_path / "runs.json", []
    monkeypatch.setattr(cost_model, "measured_points", lambda plan: asked.append(plan) or planted_points())
    for _ in range(2):
        cost_model.main(runs=path, report=True, quick=True)
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(asked) == 1
    assert last["seconds_within_2x"] == 1


def test_machines_are_as_many_as_memory_or_cores_ask_for() -> None:
    assumed = Assumptions(cores=10, memory_gb=100, busy=0.5, price=2.0, peak_queries=1_000, request_ms=1.0)
    cells = [cell.strip() for cell in Serving("way", 4, 250e9, 0.017).row(assumed).strip("|").split("|")]
    # Three machines hold a copy: 17 ms and three requests. 1,000 queries of 0.02 s keep 20 cores busy: 4 machines of 5; a million take 5.56
    # hours of cores half of which are idle.
    assert cells == ["way", "4", "62.5", "250", "4.250", "20.00", "50", "4 (cores)", "22.2"]
    assert "| 3 (memory) |" in Serving("way", 4, 250e9, 0.001).row(assumed)


def test_ranks_divide_what_is_per_user_and_add_the_network() -> None:
    assumed, size = Assumptions(cores=4, busy=0.5, network_gb=1.0), SIZES[0]._replace(n_negatives=10, n_items=1_000)
    of_steps = {"steps": 1.0, "steps x candidates x D": 0.0, "steps x numbers moved": 0.0}
    zeros = dict.fromkeys(SECONDS["joint epoch"](size), 0.0)
    model = PLANTED._replace(seconds={"joint epoch": zeros | of_steps | {"users x history x H": 1e-3}})
    steps = math.ceil(size.n_users / size.batch_size)
    per_user = 1e-3 * size.n_users * size.history * size.hidden_dim
    assert rank_seconds(model, "joint epoch", size, 1, assumed) == pytest.approx((steps + per_user) / 2)
    four = rank_seconds(model, "joint epoch", size, 4, assumed)
    assert four == pytest.approx((steps + per_user / 4) / 2 + network_seconds(size, 4, assumed))
    assert network_seconds(size, 1, assumed) == 0
    assert network_seconds(size, 8, assumed) > network_seconds(size, 4, assumed) > 0


def test_the_share_as_fast_as_another_way_is_where_the_times_meet() -> None:
    size = SIZES[0]
    seconds = PLANTED.of("encoding a query", size) + PLANTED.of("search in lists", size._replace(density=0.002))
    assert share_at(PLANTED, size, seconds) == pytest.approx(0.002)
    assert share_at(PLANTED, size, 1e-12) == 0


def test_shards_of_one_size_build_in_time_proportional_to_the_items() -> None:
    size = Assumptions().size
    assert build_seconds(PLANTED, size) == pytest.approx(10 * build_seconds(PLANTED, size._replace(n_items=size.n_items // 10)))


def test_the_report_has_all_tables() -> None:
    lines = report_lines(PLANTED, Assumptions())
    assert sum("\n|---" in line for line in lines) == 6
    assert sum(line.startswith(f"| {RANKS[-1]} |") for line in lines) == 3
    assert not [line for line in lines if "nan" in line]
