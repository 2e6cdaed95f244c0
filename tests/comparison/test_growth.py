from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch

from benchmarks.retrieval_cases import measure_lists, timed_build
from sparcode.baselines.cooccurrence import Cooccurrence, Exponents
from sparcode.comparison import grown_index, growth
from sparcode.comparison.found_share import Codes, found_share, uncut_best
from sparcode.comparison.grown_index import GrownIndex, whole_bytes
from sparcode.comparison.grown_ways import EF_SEARCH, GROWTH_SEED, N_PROBE, WAYS, LeftOut, ServedModels, WayPlan
from sparcode.comparison.growth import GrowthMeasurement, GrowthPlan, GrowthPoint
from sparcode.comparison.peers import COOCCURRENCE, FLAT, HNSW, IVF_FLAT, SPARCODE
from sparcode.data.interactions import Histories
from sparcode.index.index_builder import build_index
from sparcode.model.grown import growing_bytes, grown
from tests.fakes import raising
from tests.tiny import tiny_backbone, tiny_model, tiny_parts, tiny_split

SIZE = 300
WAY_PLAN = WayPlan(shares=(0.1, 0.5), k=10, n_queries=6, n_threads=1)
PLAN = GrowthPlan(WAY_PLAN, slow_queries=2, rounds=2)


@cache
def models() -> ServedModels:
    split, model = tiny_split(), tiny_model()
    counted = Cooccurrence(Exponents(0.6, 0.4, 0.7)).fit(split.train)
    codes = model.distinct_codes(split.train)
    return ServedModels(model, codes, "float32", tiny_parts()["two-tower"].model, tiny_backbone(), counted, split.test.queries)


def measured(n_items: int = SIZE, **limits: float) -> list[GrowthPoint | LeftOut]:
    plan = PLAN._replace(ways=WAY_PLAN._replace(**limits))
    return list(GrowthMeasurement(models(), plan).measure(n_items))


def test_every_way_is_a_point_at_a_size() -> None:
    steps: list[str] = []
    points = list(GrowthMeasurement(models(), PLAN, on_step=steps.append).measure(SIZE))
    assert all(isinstance(point, GrowthPoint) for point in points)
    assert tuple(dict.fromkeys(point.name for point in points)) == WAYS
    assert [point.share for point in points if point.name == SPARCODE] == [0.1, 0.5]
    assert {point.n_items for point in points} == {SIZE}
    assert all(point.p50_ms > 0 and point.size_bytes > 0 and 0 < point.found <= 1 for point in points)
    assert {point.name: point.n_timed for point in points} == {name: 2 if name in WAYS[-2:] else 6 for name in WAYS}
    assert [point.found for point in points if point.name in (FLAT, *WAYS[-2:])] == [1.0] * 3
    assert [math.isnan(point.build_seconds) for point in points if point.name in WAYS[-2:]] == [True, True]
    assert steps[-1] == "timing queries, all ways in turn"
    assert f"building {HNSW}" in steps


def test_approximate_ways_find_enough_at_the_least_effort() -> None:
    for point in measured():
        if point.name in (HNSW, IVF_FLAT):
            assert point.found >= WAY_PLAN.enough
    for efforts in (EF_SEARCH, N_PROBE):
        assert all(more - less <= max(1, 0.25 * less) for less, more in pairwise(efforts))
    (cells,) = [point.setting for point in measured(enough=0.0) if point.name == IVF_FLAT]
    assert cells.endswith("1 visited")


@pytest.mark.parametrize("postings", ["float32", "quantized"])
def test_the_index_of_some_lists_finds_what_the_whole_index_finds(postings: str) -> None:
    model = grown(tiny_model(), SIZE, GROWTH_SEED)
    asked = models().queries.take(np.arange(6))
    ours = GrownIndex(tiny_model(), models().codes, postings, 1)
    queries = Codes(*model.encode(asked))
    best = uncut_best(model, queries, 6, 10)
    for one, threshold in zip(ours.at_shares(SIZE, [0.1, 0.5], asked, 10, lambda: None), ours.thresholds(SIZE, [0.1, 0.5]), strict=True):
        whole = build_index(model, np.union1d(models().codes, queries.codes), threshold, 64)
        kept = build_index(model, models().codes, threshold, 64)
        # At most a tie more or less than the share.
        assert kept.density(threshold) == pytest.approx(one.share, abs=2 / (len(models().codes) * SIZE))
        assert one.size_bytes == whole_bytes(len(models().codes), SIZE, one.share, postings)
        if postings == "float32":
            assert one.size_bytes == pytest.approx(sum(kept.size_bytes(threshold).values()), abs=16)
            found = one.retriever.retrieve_codes(*queries, None, 10).item_ids
            for row, (codes, weights) in enumerate(queries.rows()):
                scores = np.zeros(SIZE, dtype=np.float32)
                for code, weight in zip(codes[0], weights[0], strict=True):
                    at = whole.rows_of(np.array([code]))[0]
                    ids = whole.item_ids[whole.indptr[at] : whole.indptr[at + 1]]
                    scores[ids] += weight * (whole.scores[whole.indptr[at] : whole.indptr[at + 1]] - np.float32(threshold))
                wanted = np.sort(scores)[::-1][: (found[row] >= 0).sum()]
                np.testing.assert_allclose(np.sort(scores[found[row][found[row] >= 0]])[::-1], wanted, rtol=1e-4)
            assert one.found == found_share(found, best)


def test_thresholds_of_a_large_catalogue_are_of_random_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grown_index, "SAMPLE_ITEMS", 40)
    model, codes = copy.deepcopy(models().sparcode), models().codes
    # The first items are the popular ones.
    with torch.no_grad():
        model.backbone.interaction.items.bias[:20] += 10
    (threshold,) = GrownIndex(model, codes, "float32", 1).thresholds(model.n_items, [0.2])
    assert (model.score_codes(codes) > threshold).mean() == pytest.approx(0.2, abs=0.05)


def test_the_share_found_is_that_of_the_benchmark() -> None:
    model = grown(tiny_model(), SIZE, GROWTH_SEED)
    asked = models().queries.take(np.arange(6))
    queries = Codes(*model.encode(asked))
    ours = GrownIndex(tiny_model(), models().codes, "float32", 1)
    (one,) = ours.at_shares(SIZE, [0.2], asked, 100, lambda: None)
    (threshold,) = ours.thresholds(SIZE, [0.2])
    rows = measure_lists(model, timed_build(model, queries.codes, threshold), threshold, queries, 1, uncut_best(model, queries))
    assert one.found == pytest.approx(next(row.recall for row in rows if row.name.startswith("lists")))


def test_what_would_not_fit_is_told_before_it_is_built_with_what_would() -> None:
    n_lists = len(models().codes)
    limit = whole_bytes(n_lists, SIZE, 0.6, "float32")
    left = [one for one in measured(shares=(0.1, 0.9), max_bytes=limit) if isinstance(one, LeftOut)]
    (ours,) = [one for one in left if one.name == SPARCODE]
    assert ours.share == 0.9
    assert "90% of its scores would take" in ours.reason
    fits = float(ours.reason.rpartition("; ")[2].partition("%")[0])
    assert whole_bytes(n_lists, SIZE, fits / 100, "float32") == pytest.approx(limit, rel=0.02)


def test_a_catalogue_too_large_to_grow_is_not_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = growing_bytes(models().two_tower, SIZE) - 1
    monkeypatch.setattr("sparcode.comparison.grown_index.grown", raising(AssertionError("grown")))
    monkeypatch.setattr("sparcode.comparison.grown_ways.grown", raising(AssertionError("grown")))
    left = measured(max_bytes=limit)
    assert {one.name for one in left} == set(WAYS)
    assert len(left) == len(WAYS)
    assert all(one.reason.endswith(f"; {SIZE - 1} items would fit") for one in left if one.name != COOCCURRENCE)


def test_lists_are_built_as_float32_whatever_the_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = GrowthMeasurement(models()._replace(postings="quantized"), PLAN)._ways
    n_asked = len(np.unique(models().sparcode.encode(ways.asked)[0]))
    building = whole_bytes(n_asked, SIZE, 0.9, "float32")
    assert building > whole_bytes(len(models().codes), SIZE, 0.9, "quantized")
    plan = WAY_PLAN._replace(shares=(0.1, 0.9), max_bytes=building - 1)
    monkeypatch.setattr(ways, "_plan", plan)
    (left,) = [one for one in ways.build(SIZE) if isinstance(one, LeftOut) and one.name == SPARCODE]
    assert left.share == 0.9
    assert left.reason.startswith("building 90% of the scores asked for would take")


def test_a_graph_that_would_take_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = GrowthMeasurement(models(), PLAN._replace(ways=WAY_PLAN._replace(max_build_seconds=5.0)))
    monkeypatch.setattr(measuring._ways, "_graph", (10_000, 3.0))
    assert {one.name for one in measuring.measure(SIZE) if isinstance(one, GrowthPoint)} == set(WAYS)
    monkeypatch.setattr(measuring._ways, "_graph", (10_000, 4_000.0))
    (left,) = [one for one in measuring.measure(SIZE) if isinstance(one, LeftOut)]
    assert left.name == HNSW
    assert left.reason.endswith("s to build, more than the limit of 5 s")


def test_it_can_be_stopped() -> None:
    with pytest.raises(KeyboardInterrupt):
        list(GrowthMeasurement(models(), PLAN, check=raising(KeyboardInterrupt())).measure(SIZE))


def planted_rounds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every round takes 1 ms of encoding and 2 ms of retrieving a query, but one query a round is interrupted for 40 ms."""
    begun: list[int] = []

    def rounds(calls: dict, asked: Histories, n_rounds: int, **options: object) -> Iterator[dict[str, np.ndarray]]:
        for at in range(n_rounds):
            begun.append(at)
            taken = np.tile(np.array([[1_000_000], [2_000_000]]), (1, len(asked)))
            taken[at % 2, at % len(asked)] += 40_000_000
            yield dict.fromkeys(calls, taken)

    monkeypatch.setattr(growth, "timed_rounds", rounds)
    return begun


def test_a_query_is_timed_by_its_fastest_round(monkeypatch: pytest.MonkeyPatch) -> None:
    planted_rounds(monkeypatch)
    points = [point for point in measured() if isinstance(point, GrowthPoint)]
    assert {point.p50_ms for point in points} == {3.0}
    assert {point.encode_ms for point in points if point.name == SPARCODE} == {1.0}


@pytest.mark.parametrize(("seconds", "n_rounds"), [(0.0, 2), (math.inf, 7)])
def test_more_rounds_are_timed_where_they_are_cheap(monkeypatch: pytest.MonkeyPatch, seconds: float, n_rounds: int) -> None:
    begun = planted_rounds(monkeypatch)
    list(GrowthMeasurement(models(), PLAN._replace(most_rounds=7, seconds=seconds)).measure(SIZE))
    # Of the fast ways, then of the slow ones.
    assert begun == [*range(n_rounds), *range(n_rounds)]
