from __future__ import annotations

import numpy as np
import pytest

from sparcode.data.evaluation_protocol import FIXED_SPLIT, STRONG, EvaluationProtocol
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet, Split
from sparcode.metrics.evaluation import accuracy
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.training import pair_fit
from sparcode.training.pair_fit import _Search, fit_pairs, with_targets
from sparcode.training.pair_gains import Gains
from sparcode.training.pipeline import build_run_index, preview, serve
from sparcode.training.trainer import validation_recall
from tests.model.test_pair_features import config_of
from tests.tiny import fresh_backbone, tiny_backbone, tiny_split

CONFIG = config_of({"pair_features": "counts"}, {"kind": "items"})
I = 40


def planted(protocol: EvaluationProtocol = STRONG) -> Split:
    """Items come in pairs, 2 n and 2 n + 1; who has one has the other, among popular ones that say nothing."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(200):
        pairs = 2 * rng.choice(np.arange(5, I // 2), 3, replace=False)
        rows.append([*pairs, *rng.choice(10, 4, replace=False), *(pairs + 1)])
    queries = Histories.from_lists([row[:-3] for row in rows[:40]], I)
    targets = Histories.from_lists([row[-3:] for row in rows[:40]], I)
    test = EvaluationSet(queries.take(np.arange(20)), targets.take(np.arange(20)), np.arange(20), protocol)
    validation = EvaluationSet(queries.take(np.arange(20, 40)), targets.take(np.arange(20, 40)), np.arange(20), protocol)
    return Split(Histories.from_lists(rows[40:], I), np.arange(160), validation, test, {})


def fitted(split: Split) -> SparCodeModel:
    model = preview(fresh_backbone(I, CONFIG.model), split, CONFIG)
    fit_pairs(model, split, CONFIG)
    return model


def test_counts_find_what_belongs_together() -> None:
    split = planted(EvaluationProtocol("strong", default_k=3))
    model = fitted(split)
    retriever = serve(model, build_run_index(model, split.train, CONFIG.index), CONFIG.index)
    assert accuracy(retriever, split.test, 3)[0] == 1


def test_the_same_data_gives_the_same_features() -> None:
    first, second = (fitted(planted()).state_dict() for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


@pytest.mark.parametrize(("protocol", "more"), [(FIXED_SPLIT, True), (STRONG, False)])
def test_validation_targets_are_counted_in_the_end_where_they_are_training_interactions(protocol: EvaluationProtocol, more: bool) -> None:
    split = planted(protocol)
    # The only user who has both.
    targets = Histories.from_lists([[1, 3], *([] for _ in range(19))], I)
    split = split._replace(
        train=split.train.select(split.train.items != 39),
        validation=split.validation._replace(
            queries=Histories.from_lists([[38], *(split.validation.queries[row].tolist() for row in range(1, 20))], I),
            targets=Histories.from_lists([[39], *(targets[row].tolist() for row in range(1, 20))], I),
        ),
    )
    assert (39 in fitted(split).pairs.items) == more


@pytest.mark.parametrize("protocol", [FIXED_SPLIT, STRONG])
def test_validation_users_decide_and_their_targets_are_counted_nowhere_meanwhile(protocol: EvaluationProtocol) -> None:
    split = planted(protocol)
    search = _Search(preview(fresh_backbone(I, CONFIG.model), split, CONFIG), split, seed=0)
    np.testing.assert_array_equal(search.users.targets.items, split.validation.targets.items)
    np.testing.assert_array_equal(search.use.holds.indptr, split.train.indptr)


def test_validation_users_decide_between_network_counts_and_both() -> None:
    config, split = config_of({"pair_features": "counts"}, {}), tiny_split()
    model = preview(tiny_backbone(), split, config)
    network = validation_recall(model, split.validation)
    fit_pairs(model, split, config)
    assert validation_recall(model, split.validation) >= network
    # Counts of another catalogue's users say nothing, and the network stays as it was.
    rng = np.random.default_rng(0)
    noise = Histories.from_lists([rng.choice(80, 9, replace=False).tolist() for _ in range(96)], 80)
    model = preview(tiny_backbone(), split, config)
    fit_pairs(model, split._replace(train=noise), config)
    assert validation_recall(model, split.validation) >= 0.95 * network


@pytest.mark.parametrize("kept", [True, False])
def test_gains_reach_the_model_where_validation_users_surely_gain(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    split = planted(FIXED_SPLIT)
    model = preview(fresh_backbone(I, CONFIG.model), split, CONFIG)
    rng = np.random.default_rng(0)
    gains, before = Gains(*rng.normal(0, 0.5, (2, I)).astype(np.float32)), rng.random(100)
    # Two standard errors of the mean difference are 0.2: of 100 users' with a standard deviation of 1.
    noise = np.repeat([1.0, -1.0], 50)
    monkeypatch.setattr(pair_fit, "learn_gains", lambda *_: (gains, before + noise + (0.21 if kept else 0.19), before))
    fit_pairs(model, split, CONFIG)
    shape = PairShape(*model.pairs.shape.tolist()[:-1], per_code=int(model.pairs.shape[-1]))
    use = CodeUse.of_items(with_targets(split))
    expected = use.values(shape, factors=gains.factors(use.codes) if kept else None)
    _, items, values = model.pairs.arrays
    np.testing.assert_array_equal(items, expected.indices)
    np.testing.assert_allclose(values / values.max(), expected.data / expected.data.max(), rtol=1e-5)


def test_a_stop_leaves_a_model_that_serves() -> None:
    split = planted()
    model = preview(fresh_backbone(I, CONFIG.model), split, CONFIG)
    fit_pairs(model, split, CONFIG, lambda: True)
    assert np.isfinite(model.score(split.test.queries)).all()
    assert model.pairs.shape[:4].tolist() == list(PairShape()[:4])


@pytest.mark.parametrize("settings", [({}, {"kind": "items"}), ({}, {}), ({"history_tokens": 5}, {"kind": "items"})])
def test_histories_too_short_to_hold_items_out_keep_the_usual_exponents(settings: tuple[dict, dict]) -> None:
    model, quantizer = settings
    config, split = config_of({"pair_features": "counts", **model}, quantizer), planted(FIXED_SPLIT)
    short = Histories.from_lists([split.train[row][:2].tolist() for row in range(len(split.train))], I)
    nobody = split.validation._replace(targets=Histories.from_lists([[]] * len(split.validation.queries), I))
    split = split._replace(train=short, validation=nobody)
    made = preview(fresh_backbone(I, config.model), split, config)
    fit_pairs(made, split, config)
    assert tuple(made.pairs.shape[:4]) == PairShape()[:4]
    assert np.isfinite(made.score(split.test.queries)).all()


def test_validation_users_without_a_counted_code_leave_the_network_as_it_is() -> None:
    config, split = config_of({"pair_features": "counts", "history_tokens": 5}, {"kind": "items"}), planted()
    train = Histories.from_lists([[0, 1, 2]] * 9, I)
    queries = Histories.from_lists([[39]] * len(split.validation.queries), I)
    split = split._replace(train=train, validation=split.validation._replace(queries=queries))
    made = preview(fresh_backbone(I, config.model), split, config)
    network = made.score_codes(np.arange(3))
    fit_pairs(made, split, config)
    np.testing.assert_allclose(made.score_codes(np.arange(3)), network, rtol=1e-5)
