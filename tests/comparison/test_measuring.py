from __future__ import annotations

import math

import numpy as np
import pytest

from sparcode.comparison import measuring as module
from sparcode.comparison.interleaved_timing import Call, timed_rounds
from sparcode.comparison.measuring import Band, Measurement, TimingPlan, at_settings, measure_in_turn
from sparcode.comparison.peers import ALL_TO_ALL, FLAT, HNSW, IVF_FLAT, IVF_PQ, SPARCODE, PeerAtSetting, Sweep, named
from sparcode.comparison.training import Models
from sparcode.config import DEFAULT_K
from sparcode.metrics.evaluation import accuracy
from tests.tiny import CONFIG, tiny_parts, tiny_split

PLAN = TimingPlan(n_queries=5, slow_queries=2, rounds=3)
SWEEP = Sweep(densities=(0.1, 0.5), links=(4,), ef_search=(16, 64), n_lists=(4,), n_probe=(1, 4))


class Stopped(Exception):
    pass


def peers(*names: str, sweep: Sweep = SWEEP) -> list[PeerAtSetting]:
    chosen = named(*(names or (SPARCODE, FLAT, HNSW, IVF_FLAT, IVF_PQ, ALL_TO_ALL)))
    return at_settings(chosen, Models(tiny_split(), CONFIG, given=tiny_parts()), sweep)[0]


def measured(found: list[PeerAtSetting], busy: bool = False) -> list[Measurement]:
    return list(measure_in_turn(found, tiny_split().test, PLAN, lambda: None, lambda: busy))


def test_every_retriever_is_a_point_untimed_first_and_again_after_every_round() -> None:
    found = peers()
    points = measured(found)
    names = [peer.label for peer in found]
    assert [point.label for point in points] == names * (1 + PLAN.rounds)
    assert len(points) == PLAN.n_steps(len(found))
    assert [point.n_rounds for point in points[:: len(names)]] == [0, 1, 2, 3]
    assert [peer.name for peer in found] == [SPARCODE] * 2 + [FLAT] + [HNSW] * 2 + [IVF_FLAT] * 2 + [IVF_PQ] * 2 + [ALL_TO_ALL]
    first, last = points[0], points[-len(names)]
    assert math.isnan(first.p50_ms.middle)
    assert 0 < last.p50_ms.low <= last.p50_ms.middle <= last.p50_ms.high
    assert last.p50_ms.middle <= last.p95_ms.middle
    assert last.n_timed == PLAN.n_queries


def test_settings_of_hnsw_are_named_by_what_was_searched() -> None:
    asked = tiny_split().validation.queries
    sweep = SWEEP._replace(ef_search=(16, 4096), exclude=("ask_more", "selector"), asked=asked)
    words = [peer.setting for peer in peers(HNSW, sweep=sweep)]
    assert words[1:] == [
        "4 links, efSearch 4096",
        f"4 links, selector, efSearch {min(DEFAULT_K, asked.n_items)}",
        "4 links, selector, efSearch 4096",
    ]
    assert words[0].startswith("4 links, efSearch ")
    assert "efSearch 16" not in words[0]  # more were asked for than that


def test_accuracy_and_bytes_are_those_of_the_retriever() -> None:
    found = peers()
    for peer, point in zip(found, measured(found)[: len(found)], strict=True):
        assert point[2:5] == pytest.approx(accuracy(peer.retriever, tiny_split().test, DEFAULT_K))
        assert np.nanmean(point.recall_by_query) == pytest.approx(point.recall)
        assert point.size_bytes == sum(peer.retriever.size_bytes().values())
        assert not point.recall_by_query.flags.writeable


def test_slow_kinds_of_a_large_catalogue_are_timed_on_fewer_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLOW_ITEMS", 10)
    timed = {point.name: point.n_timed for point in measured(peers())}
    assert (timed[ALL_TO_ALL], timed[SPARCODE]) == (PLAN.slow_queries, PLAN.n_queries)


def test_a_point_says_whether_other_jobs_ran_beside_it() -> None:
    found = peers(SPARCODE)
    assert {point.busy for point in measured(found)} == {False}
    assert [point.busy for point in measured(found, busy=True)] == [False] * 2 + [True] * 6


def test_without_a_retriever_there_is_nothing_to_measure() -> None:
    with pytest.raises(ValueError, match="at least one retriever is needed"):
        measured([])


@pytest.mark.parametrize("calls_before", [0, 3, 20])
def test_it_can_be_stopped_between_any_two_calls(calls_before: int) -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked > calls_before:
            raise Stopped

    found = peers(SPARCODE)
    with pytest.raises(Stopped):
        list(measure_in_turn(found, tiny_split().test, PLAN, check, lambda: False))
    assert asked == calls_before + 1


def test_rounds_come_one_after_the_other_and_check_before_every_call() -> None:
    order: list[str] = []
    calls = {name: Call(lambda query, name=name: order.append(name), lambda *_: None) for name in ("one", "other")}
    rounds = timed_rounds(calls, tiny_split().test.queries.take(np.arange(2)), rounds=2, run_length=2, check=lambda: order.append("check"))
    first = next(rounds)
    assert {name: taken.shape for name, taken in first.items()} == {"one": (2, 2), "other": (2, 2)}
    # One call of each turn is not timed.
    assert order[::2] == ["check"] * 6
    assert sorted(order[1::2]) == ["one"] * 3 + ["other"] * 3
    assert len(list(rounds)) == 1


def test_bands_overlap_unless_one_ends_before_the_other_begins() -> None:
    band = Band(2, 1, 3)
    assert band.overlaps(Band(3.5, 3, 4))
    assert not band.overlaps(Band(4, 3.1, 5))
    assert not band.overlaps(module.UNTIMED)
