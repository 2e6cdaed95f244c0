from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from sparcode.baselines.cooccurrence import Cooccurrence
from sparcode.baselines.popularity import Popularity
from sparcode.comparison import peers as module
from sparcode.comparison.measuring import Measurement, at_settings, compare_peers
from sparcode.comparison.peers import (
    ALL_TO_ALL,
    COOCCURRENCE,
    COOCCURRENCE_GRID,
    EASE_NAME,
    FLAT,
    HNSW,
    IVF_FLAT,
    IVF_PQ,
    MODELS,
    POPULARITY,
    REGRESSION,
    ROSTER,
    SERVED_BY,
    SPARCODE,
    TWO_TOWER,
    BaselinePeer,
    CannotRun,
    Peer,
    PeerAtSetting,
    Sweep,
    chosen_cooccurrence,
    named,
    runnable,
)
from sparcode.comparison.training import ComparisonStopped, Models, Step, Trained
from sparcode.config import DEFAULT_K
from sparcode.data.evaluation_protocol import COLD_START
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training.pipeline import build_run_index
from tests.fakes import raising
from tests.model.test_item_lists import with_lists
from tests.tiny import CONFIG, changed, tiny_backbone, tiny_parts, tiny_split

SWEEP = Sweep(densities=(0.1, 0.5), links=(4,), ef_search=(16, 64), n_lists=(4,), n_probe=(1, 4), k_factor=(0.0, 2.0))


def models(**options: object) -> Models:
    return Models(tiny_split(), CONFIG, given={**tiny_parts(), **options.pop("given", {})}, **options)


def runnable_here() -> list[Peer]:
    return runnable(ROSTER, tiny_split())[0]


@pytest.mark.parametrize("peer", runnable_here(), ids=lambda peer: peer.name)
def test_a_peer_serves_what_it_trained(peer: Peer) -> None:
    bench = models()
    trained = peer.train(bench)
    retriever = peer.retriever(trained, bench)
    queries = tiny_split().test.queries
    found = retriever.retrieve(queries, 5).item_ids
    assert found.shape == (len(queries), 5)
    assert sum(retriever.size_bytes().values()) > 0
    settings = list(peer.at_settings(trained, bench, SWEEP))
    assert len({one.label for one in settings}) == len(settings) > 0
    for one in settings:
        assert (one.name, one.slow) == (peer.name, peer.name == ALL_TO_ALL)
        called = one.call.retrieve(one.call.encode(queries), queries).item_ids
        np.testing.assert_array_equal(called, one.retriever.retrieve(queries, DEFAULT_K).item_ids)


def test_shares_of_an_index_with_item_lists_are_of_the_heads_codes() -> None:
    model = with_lists(changed({"item_lists": "counts"}))
    index = build_run_index(model, tiny_split().train, CONFIG.index)
    peers = module.SparCode().at_settings(Trained(model), models(given={"index": Trained(index)}), SWEEP)
    heads = index.below(model.first_list_code)
    assert heads.n_lists < index.n_lists
    assert [heads.density(peer.retriever.threshold) for peer in peers] == pytest.approx(SWEEP.densities, abs=0.01)


def test_names_are_one_of_a_kind_and_every_model_says_how_it_is_served() -> None:
    assert list(SERVED_BY) == [peer.name for peer in ROSTER]
    assert all(SERVED_BY.values())
    assert not {FLAT, HNSW, IVF_FLAT, IVF_PQ} & {peer.name for peer in MODELS}
    assert [peer.name for peer in named(EASE_NAME, SPARCODE)] == [EASE_NAME, SPARCODE]


def test_rows_hold_the_figures_of_the_models_given() -> None:
    told: list[Measurement] = []
    rows, left_out = compare_peers(ROSTER, models(), on_row=told.append)
    by_name = {row.name: row for row in rows}
    assert rows == told
    assert left_out == {}
    assert list(by_name) == [peer.name for peer in runnable_here()]
    exact = accuracy(ExactRetriever(tiny_backbone()), tiny_split().test, DEFAULT_K)
    assert by_name[ALL_TO_ALL][2:5] == exact
    assert by_name[FLAT].recall == pytest.approx(by_name[TWO_TOWER].recall, abs=0.02)
    assert by_name[SPARCODE].train_seconds >= 5
    assert by_name[ALL_TO_ALL].train_seconds >= 3
    assert (by_name[SPARCODE].trained_where, by_name[TWO_TOWER].trained_where) == ("on another day", "")


def test_a_part_is_trained_once_when_it_is_first_asked_for() -> None:
    asked: list[int] = []
    steps: list[Step] = []
    bench = models(given={"two-tower": lambda: asked.append(1) or tiny_parts()["two-tower"]}, on_step=steps.append)
    assert asked == []
    compare_peers(named(TWO_TOWER, FLAT, HNSW), bench)
    assert asked == [1]
    assert [step.name for step in steps] == [f"measuring {name}" for name in (TWO_TOWER, FLAT, HNSW)]


def test_a_peer_that_cannot_be_had_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FaissRetriever", raising(RuntimeError("too few items for hnsw")))
    peers = [BaselinePeer("huge", "", raising(ValueError("it takes 9 TB"))), *named(HNSW, POPULARITY)]
    rows, left_out = compare_peers(peers, models())
    assert [row.name for row in rows] == [POPULARITY]
    assert left_out == {"huge": "it takes 9 TB", HNSW: "too few items for hnsw"}
    assert at_settings(peers, models(), SWEEP)[1] == left_out


def test_a_peer_that_fails_at_a_later_setting_is_left_out_of_all() -> None:
    class Failing(BaselinePeer):
        def at_settings(self, *arguments: object) -> Iterator[PeerAtSetting]:
            yield from super().at_settings(*arguments)
            raise CannotRun("no second setting")

    failing = Failing("failing", "", lambda split, check: Popularity().fit(split.train))
    ready, left_out = at_settings([failing, *named(POPULARITY)], models(), SWEEP)
    assert [one.name for one in ready] == [POPULARITY]
    assert left_out == {"failing": "no second setting"}


def test_a_baseline_is_left_out_for_want_of_memory_but_not_for_an_error_of_the_program() -> None:
    huge = BaselinePeer("huge", "", raising(MemoryError()))
    assert compare_peers([huge], models()) == ([], {"huge": "MemoryError"})
    with pytest.raises(RuntimeError, match="a fault"):
        compare_peers([BaselinePeer("broken", "", raising(RuntimeError("a fault")))], models())


def test_queries_without_a_history_leave_out_what_scores_histories() -> None:
    found, left_out = runnable(ROSTER, tiny_split()._replace(test=tiny_split().test._replace(protocol=COLD_START)))
    assert set(left_out) == {EASE_NAME, COOCCURRENCE}
    assert all("the test queries have none" in reason for reason in left_out.values())
    assert REGRESSION not in {peer.name for peer in found}
    vectors = np.zeros((96, 3), dtype=np.float32)
    found, _ = runnable(ROSTER, tiny_split()._replace(user_vectors=vectors, item_features=vectors[:80]))
    assert found[-1].name == REGRESSION


def test_exponents_are_chosen_on_validation_users() -> None:
    split = tiny_split()
    chosen = chosen_cooccurrence(split)
    recalls = {
        point: accuracy(ExactRetriever(Cooccurrence(point).fit(split.train)), split.validation, DEFAULT_K)[0] for point in COOCCURRENCE_GRID
    }
    assert recalls[chosen.exponents] == max(recalls.values())


def test_choosing_exponents_can_be_stopped() -> None:
    asked = iter((False, True))
    with pytest.raises(ComparisonStopped):
        named(COOCCURRENCE)[0].train(models(should_stop=lambda: next(asked)))


def test_stopping_is_asked_before_every_step() -> None:
    with pytest.raises(ComparisonStopped, match="measuring two-tower"):
        compare_peers(named(TWO_TOWER), models(should_stop=lambda: True))


def test_an_error_of_a_training_is_not_a_reason_to_be_left_out() -> None:
    with pytest.raises(ValueError, match="no such file"):
        compare_peers(named(TWO_TOWER), models(given={"two-tower": raising(ValueError("no such file"))}))
    assert not issubclass(CannotRun, ValueError)
