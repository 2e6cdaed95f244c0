from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import end_to_end
from benchmarks.end_to_end import best_of_peers
from benchmarks.pareto_plot import CSR, ServedPoint, fastest, latency, pareto_figure, size
from benchmarks.served_points import ratios
from sparcode.comparison.interleaved_timing import Call, interleaved
from sparcode.comparison.pareto import pareto_front
from sparcode.comparison.peers import FLAT, HNSW, IVF_FLAT, IVF_PQ, SPARCODE, PeerAtSetting
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet, Split
from sparcode.retrieval.contract import Retrieved


def point(name: str, recall: float, p50_ms: float, size_bytes: int = 10, setting: str = "a") -> ServedPoint:
    return ServedPoint(name, setting, recall, p50_ms, 2 * p50_ms, 3 * p50_ms, p50_ms / 2, p50_ms / 2, size_bytes, 100.0)


def users(n: int) -> EvaluationSet:
    return EvaluationSet(Histories.from_lists([[0]] * n, 10), Histories.from_lists([[9]] * n, 10), np.arange(n))


POINTS = [
    point(FLAT, 0.3, 2.0),
    point(HNSW, 0.2999, 1.0, 20),
    point(HNSW, 0.25, 0.5, 20, "b"),
    point(IVF_FLAT, 0.3, 1.5),
    point(IVF_PQ, 0.2, 0.1, 1),
    point(SPARCODE, 0.31, 0.8, 30),
    point(SPARCODE, 0.3, 0.7, 20, "b"),
    point(SPARCODE, 0.29, 0.2, 5, "c"),
    point(CSR, 0.3, 1.2, 25, "b"),
]


def test_the_front_holds_what_nothing_beats() -> None:
    assert [(one.name, one.setting) for one in pareto_front(POINTS, latency)] == [
        (IVF_PQ, "a"), (SPARCODE, "c"), (SPARCODE, "b"), (SPARCODE, "a"),
    ]  # fmt: skip
    assert [one.recall for one in pareto_front(POINTS, size)] == [0.2, 0.29, 0.3, 0.31]


def test_the_headline_compares_the_fastest_that_are_accurate_enough() -> None:
    best = best_of_peers(POINTS)
    assert (best[HNSW].setting, best[SPARCODE].setting, best[CSR].setting) == ("a", "b", "b")
    assert best[IVF_PQ].recall == 0.2  # none is accurate enough
    assert ratios(best) == {
        "latency_vs_two_tower_hnsw": 0.7,
        "p95_vs_two_tower_hnsw": 0.7,
        "p99_vs_two_tower_hnsw": 0.7,
        "recall_vs_two_tower": 1.0,
    }


def test_sparcode_must_be_ahead_by_more_than_chance() -> None:
    unsure = [one._replace(recall_error=0.005) if one.name == SPARCODE else one for one in POINTS]
    best = best_of_peers([*unsure, point(CSR, 0.31, 1.3)])
    assert best[SPARCODE].setting == "a"
    assert best[HNSW].setting == "a"


def test_a_recall_has_the_error_of_its_difference_to_exact_search() -> None:
    found = [PeerAtSetting(kind, "a", Fake({4: n}), Call(len, lambda *_: None)) for kind, n in ((FLAT, 3), (SPARCODE, 1))]
    points = end_to_end.measure(found, users(4), 4, 1, 0)
    # Differences 0, -1, -1, 0.
    assert [(point.recall, point.recall_error) for point in points] == [(0.75, 0.0), (0.25, 0.25)]


def test_a_peer_without_points_is_named() -> None:
    with pytest.raises(ValueError, match="no point is of 'annoy'"):
        fastest(POINTS, "annoy", 0.1)


def test_every_retriever_meets_every_query_in_every_round() -> None:
    met: dict[str, list[int]] = {"one": [], "other": []}
    calls = {name: Call(lambda query: int(query[0][0]), lambda item, query, name=name: met[name].append(item)) for name in met}
    queries = Histories.from_lists([[0], [1], [2], [3], [4]], 5)
    timings = interleaved(calls, queries, rounds=3, run_length=2)
    for name, items in met.items():
        assert min(np.bincount(items, minlength=5)) >= 3
        assert timings[name].total_us.shape == (5,)
        assert (timings[name].total_us > 0).all()


@pytest.mark.parametrize(("options", "message"), [({"rounds": 0}, "rounds"), ({"rounds": 1, "run_length": 0}, "run_length")])
def test_counts_of_a_timing_are_checked(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message} must be at least 1; got 0"):
        interleaved({"a": Call(len, lambda *_: None)}, Histories.from_lists([[0]], 1), **options)


def test_a_timing_needs_queries_and_retrievers() -> None:
    with pytest.raises(ValueError, match="at least one query and one retriever"):
        interleaved({}, Histories.from_lists([[0]], 1), rounds=1)


def test_the_plot_shows_every_kind_in_both_panels_and_needs_no_network(tmp_path: Path) -> None:
    figure = pareto_figure(POINTS, "made up")
    names = {trace.name for trace in figure.data}
    assert names == {"front of all", FLAT, HNSW, IVF_FLAT, IVF_PQ, SPARCODE, CSR}
    assert {trace.xaxis for trace in figure.data if trace.name == SPARCODE} == {"x", "x2"}
    assert figure.layout.xaxis.type == figure.layout.xaxis2.type == "log"
    assert "1 settings below" in figure.layout.yaxis.title.text
    page = tmp_path / "plot.html"
    figure.write_html(page, include_plotlyjs=True)
    assert "<script src=" not in page.read_text()


def test_a_plot_needs_points() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        pareto_figure([], "nothing")


class Fake:
    """A retriever that finds the targets of as many users as asked for, on either of two sets."""

    def __init__(self, found_of: dict[int, int]) -> None:
        self.found_of = found_of

    def retrieve(self, queries: Histories, k: int) -> Retrieved:
        items = np.full((len(queries), k), -1, dtype=np.int32)
        items[: self.found_of[len(queries)], 0] = 9
        return Retrieved(items, np.zeros(items.shape, dtype=np.float32))

    def size_bytes(self) -> dict[str, int]:
        return {"all": 1}


def test_settings_are_chosen_on_validation_users_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    validation, test = users(4), users(5)
    split = Split(users(1).queries, np.arange(1), validation, test, {})
    # "a" is good on validation users, "b" on test users.
    found = [
        PeerAtSetting(kind, setting, Fake({4: 4 - 2 * (setting == "b"), 5: 5 - 2 * (setting == "a")}), Call(len, lambda *_: None))
        for kind in (FLAT, HNSW, IVF_FLAT, IVF_PQ, SPARCODE, CSR)
        for setting in (("a",) if kind == FLAT else ("a", "b"))
    ]
    measured, original = [], end_to_end.measure

    def measure(peers: list[PeerAtSetting], at: EvaluationSet, *rest: int) -> list[ServedPoint]:
        measured.append((len(peers), len(at.queries)))
        return original(peers, at, *rest)

    monkeypatch.setattr(end_to_end, "measure", measure)
    points, best = end_to_end.chosen_and_tested(found, split, timed=4, rounds=1, seed=0)
    assert measured == [(11, 4), (6, 5)]
    assert {point.recall for point in points} == {1.0, 0.5}
    assert {(point.setting, point.recall) for point in best.values()} == {("a", 0.6)}
    assert ratios(best)["recall_vs_two_tower"] == 1.0
