from __future__ import annotations

import numpy as np
import pytest

from sparcode.baselines.ease import EASE
from sparcode.data.evaluation_protocol import FIXED_SPLIT, EvaluationProtocol
from sparcode.data.interactions import Histories
from sparcode.data.split import Split
from sparcode.metrics.evaluation import accuracy
from sparcode.model.pair_features import CodeUse, PairShape
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.retrieval.exact import ExactRetriever
from sparcode.training import list_fit
from sparcode.training.list_fit import _typical, fit_lists, made, probe_lists, shortened
from sparcode.training.pipeline import build_run_index, preview, serve
from sparcode.training.trainer import validation_recall
from tests.tiny import changed, fresh_backbone, tiny_backbone, tiny_split
from tests.training.test_pair_fit import I, planted

STRONG_3 = EvaluationProtocol("strong", default_k=3)
KINDS = ["counts", "ease"]


def fitted(split: Split, kind: str, training: dict | None = None) -> SparCodeModel:
    config = changed({"item_lists": kind}, training=training)
    model = preview(fresh_backbone(split.train.n_items, config.model), split, config)
    fit_lists(model, split, config)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_lists_find_what_belongs_together(kind: str) -> None:
    split, config = planted(STRONG_3), changed({"item_lists": kind})
    model = fitted(split, kind)
    plain = preview(model.backbone, split, config)
    retriever = serve(model, build_run_index(model, split.train, config.index), config.index)
    without = serve(plain, build_run_index(plain, split.train, config.index), config.index)
    assert accuracy(without, split.test, 3)[0] < 0.3
    assert accuracy(retriever, split.test, 3)[0] > 0.9
    assert float(model.lists.choice[2]) in (list_fit.PENALTIES if kind == "ease" else list_fit.EXPONENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_lists_are_found_where_hardly_any_item_passes_the_heads_threshold(kind: str) -> None:
    model = fitted(planted(STRONG_3), kind, {"density": 1e-3})
    assert accuracy(ExactRetriever(model), planted().test, 3)[0] > 0.7


def test_usual_scores_are_above_zero_whatever_k_is() -> None:
    scores = np.array([[0, 4, 3, 2, 1], [0, 0, 6, 0, 8], [0, 0, 0, 0, 0]], np.float32)
    assert _typical(scores, 2) == np.mean([3, 6])
    # Fewer than 2 k are above 0: their median.
    assert _typical(scores, 50) == np.mean([2, 6])
    assert _typical(scores[2:], 2) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_data_gives_the_same_lists(kind: str) -> None:
    first, second = (fitted(planted(), kind).state_dict() for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_lists_that_do_not_help_are_left_out() -> None:
    split, config = tiny_split(), changed({"item_lists": "ease"})
    model = preview(fresh_backbone(split.train.n_items, config.model), split, config)
    # Nobody's targets are in any list, so that no factor finds more of them.
    targets = Histories.from_lists([[0]] * len(split.validation.queries), model.n_items)
    queries = Histories.from_lists([[1, 2]] * len(split.validation.queries), model.n_items)
    fit_lists(
        model,
        split._replace(
            train=split.train.select(split.train.items != 0), validation=split.validation._replace(queries=queries, targets=targets)
        ),
        config,
    )
    assert model.lists.choice.tolist() == [0, 0, 0]
    assert len(model.lists.listed()) == 0


def test_validation_recall_never_falls() -> None:
    split = tiny_split()
    for kind in KINDS:
        config = changed({"item_lists": kind})
        model = preview(fresh_backbone(split.train.n_items, config.model), split, config)
        before = validation_recall(model, split.validation)
        fit_lists(model, split, config)
        assert validation_recall(model, split.validation) >= before


@pytest.mark.parametrize(("protocol", "more"), [(FIXED_SPLIT, True), (STRONG_3, False)])
def test_validation_targets_are_counted_in_the_end_where_they_are_training_interactions(protocol: EvaluationProtocol, more: bool) -> None:
    split = planted(protocol)
    # The validation users of these rows also are training users; the last items, 38 and 39, are held out of training.
    train = split.train.select(split.train.items < 38)
    split = split._replace(train=train)
    model = fitted(split, "counts")
    assert model.lists.choice[0] > 0
    listed = model.lists.listed() - model.lists.first_code
    assert np.isin(listed, split.train.items).all() != more
    # No training query uses those lists, but the index has them.
    assert np.isin(model.lists.listed(), build_run_index(model, split.train_queries, changed().index).codes).all()


def test_a_catalogue_too_large_for_ease_gets_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_fit, "MAX_EASE_BYTES", 4 * I**2 - 1)
    model = fitted(planted(STRONG_3), "ease")
    assert model.lists.choice[0] > 0
    assert float(model.lists.choice[2]) in list_fit.EXPONENTS
    for name, value in fitted(planted(STRONG_3), "counts").lists.state_dict().items():
        np.testing.assert_array_equal(model.lists.state_dict()[name], value, err_msg=name)


def test_a_stop_leaves_a_model_that_serves() -> None:
    split, config = planted(), changed({"item_lists": "ease"})
    model = preview(fresh_backbone(I, config.model), split, config)
    fit_lists(model, split, config, lambda: True)
    assert np.isfinite(model.score(split.test.queries)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_made_lists_hold_the_highest_weights(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_fit, "_ROWS", 7)
    train, config = planted().train, changed({"item_lists": kind})
    model = preview(fresh_backbone(I, config.model), planted(), config)
    if kind == "ease":
        dense = EASE(300.0).fit(train).weights_
    else:
        use = CodeUse.of_items(train)
        dense = np.zeros((I, I), np.float32)
        dense[use.codes] = use.values(PairShape(item=0.5)).toarray()
    for per_code in (1, 5, I):
        found = shortened(made(model, train, 300.0 if kind == "ease" else 0.5), per_code).toarray()
        for row, expected in zip(found, np.maximum(dense, 0), strict=True):
            assert np.count_nonzero(row) <= per_code
            np.testing.assert_array_equal(row[row > 0], expected[row > 0])
            np.testing.assert_array_equal(np.sort(row)[::-1][:per_code], np.sort(expected)[::-1][:per_code])


def test_nothing_happens_without_lists_and_a_probe_knows_it() -> None:
    split, config = tiny_split(), changed()
    model = preview(tiny_backbone(), split, config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_lists(model, split, config)
    assert before.keys() == model.state_dict().keys()
    assert probe_lists(model, split) == 0
    assert probe_lists(fitted(split, "counts"), split) > 0


def test_validation_users_without_targets_choose_nothing() -> None:
    split = planted(FIXED_SPLIT)
    nobody = split.validation._replace(targets=Histories.from_lists([[]] * len(split.validation.queries), I))
    assert len(fitted(split._replace(validation=nobody), "ease").lists.listed()) == 0
