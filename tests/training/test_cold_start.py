"""Queries that are empty but for side features: what training, index and settings make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparcode.config import RunConfig
from sparcode.data.evaluation_protocol import COLD_START, STRONG, EvaluationProtocol
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet, Split
from sparcode.metrics.evaluation import accuracy
from sparcode.model.query_batch import QueryBatch
from sparcode.model.two_tower import TwoTowerModel
from sparcode.retrieval.contract import Retrieved
from sparcode.training.pipeline import build_run_index, check_side_features, preview, train_backbone
from sparcode.training.trainer import Trainer
from tests.tiny import CONFIG, changed, tiny_split


def cold_split() -> Split:
    """The tiny split with three features per training user that say nothing."""
    split = tiny_split()
    features = np.random.default_rng(0).normal(size=(len(split.train), 3))
    train = replace(split.train, features=features)
    parts = {}
    for name in ("validation", "test"):
        part: EvaluationSet = getattr(split, name)
        hidden = part.queries.select(np.zeros(len(part.queries.items), dtype=bool))
        queries = replace(hidden, features=features[: len(hidden)])
        parts[name] = part._replace(queries=queries, protocol=COLD_START)
    return split._replace(train=train, **parts)


class Watched(TwoTowerModel):
    """Notes what its queries show."""

    shown = 0

    def forward(self, queries: QueryBatch, candidates=None):
        self.shown += len(queries.items)
        return super().forward(queries, candidates)


@pytest.mark.parametrize("protocol", [STRONG, COLD_START])
def test_training_shows_nothing_of_a_history_that_the_test_hides(protocol: EvaluationProtocol) -> None:
    split = cold_split()
    model = Watched(split.train.n_items, CONFIG.model, n_features=3)
    record = Trainer(model, split.train, CONFIG.training, protocol=protocol).train_epoch()
    assert np.isfinite(record.loss)
    assert (model.shown > 0) == protocol.shows_history


def test_codebooks_and_index_come_from_queries_as_they_are_served() -> None:
    split, config = cold_split(), changed(model={"side_features": "users"}, training={"epochs": 1})
    backbone, _ = train_backbone(split, config)
    model = preview(backbone, split, config)
    index = build_run_index(model, split.train_queries, config.index)
    hidden = Histories(
        np.zeros(len(split.train) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), split.train.n_items, split.train.features
    )
    np.testing.assert_array_equal(index.codes, np.unique(model.encode(hidden)[0]))


def test_without_features_of_users_there_is_nothing_to_learn_from() -> None:
    with pytest.raises(ValueError, match="nothing but side features is known of these users; allowed is 'users' or 'both'"):
        check_side_features(cold_split(), changed(model={"side_features": "items"}).model)


def test_accuracy_counts_users_without_targets_and_few_targets_in_full() -> None:
    class Fixed:
        def retrieve(self, queries: Histories, k: int) -> Retrieved:
            return Retrieved(np.tile(np.arange(k, dtype=np.int32), (len(queries), 1)), np.ones((len(queries), k), dtype=np.float32))

    targets = Histories.from_lists([[0, 1], []], 9)
    part = EvaluationSet(Histories.from_lists([[], []], 9), targets, np.arange(2))
    assert accuracy(Fixed(), part, 4) == (1.0, 1.0, 0.5)
    assert accuracy(Fixed(), part._replace(protocol=COLD_START), 4) == (0.5, 0.5, 0.5)


def test_defaults_for_users_without_history_give_way_to_what_was_set() -> None:
    config = RunConfig.for_data(False, protocol="cold-start")
    assert (config.split.protocol, config.model.side_features, config.training.n_negatives) == ("cold-start", "both", 2000)
    settings = RunConfig.model_validate({"model": {"side_features": "users"}, "training": {"n_negatives": 0}})
    config = RunConfig.for_data(False, settings, protocol="cold-start")
    assert (config.model.side_features, config.training.n_negatives) == ("users", 0)
    assert RunConfig.for_data(False) == RunConfig()
