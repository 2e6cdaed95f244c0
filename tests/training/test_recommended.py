from __future__ import annotations

import numpy as np
import pytest

from sparcode.config import RunConfig
from sparcode.data.evaluation_protocol import COLD_START
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet, Split
from sparcode.training.pipeline import check_settings_act
from sparcode.training.recommended import SPARSE_ITEMS, recommended
from tests.tiny import tiny_split

DEFAULT = RunConfig.for_data(False)


def sparse(n_items: int = SPARSE_ITEMS) -> Split:
    """50 users who have four items each."""
    rng = np.random.default_rng(0)
    histories = Histories.from_lists([rng.choice(n_items, 4, replace=False).tolist() for _ in range(50)], n_items)
    few = EvaluationSet(histories.take(np.arange(5)), histories.take(np.arange(5)), np.arange(5))
    return Split(histories, np.arange(50), few, few, {})


def test_sparse_catalogues_get_items_as_codes_and_are_told_why() -> None:
    found = recommended(sparse(), DEFAULT, {})
    assert (found.config.quantizer.kind, found.config.model.pair_features, found.config.training.joint_epochs) == ("items", "counts", 0)
    assert "1,000 items of which users have 0.4%" in found.reason
    check_settings_act(sparse(), found.config.training)
    # The peers see the data as often as by default.
    assert found.config.training.epochs == DEFAULT.training.epochs + DEFAULT.training.joint_epochs
    assert found.config.training.teacher_weight == DEFAULT.training.teacher_weight


@pytest.mark.parametrize("split", [tiny_split(), sparse(SPARSE_ITEMS - 1)], ids=["dense", "small"])
def test_other_data_gets_lists_of_items_beside_the_network(split: Split) -> None:
    found = recommended(split, DEFAULT, {"quantizer": ["codebook_size"]})
    assert found.config == DEFAULT.model_copy(update={"model": DEFAULT.model.model_copy(update={"item_lists": "ease"})})
    assert "lists of the history's items" in found.reason
    assert recommended(split, DEFAULT, {"model": ["item_lists"]}) == (DEFAULT, "")


def test_queries_without_a_history_keep_the_defaults() -> None:
    split = sparse()
    assert recommended(split._replace(test=split.test._replace(protocol=COLD_START)), DEFAULT, {}) == (DEFAULT, "")


def test_what_was_typed_stays() -> None:
    config = RunConfig.for_data(False, RunConfig.model_validate({"training": {"epochs": 3}, "model": {"token_dim": 32}}))
    found = recommended(sparse(), config, {"training": ["epochs"], "model": ["token_dim"]}).config
    assert (found.training.epochs, found.model.token_dim, found.quantizer.kind) == (3, 32, "items")


@pytest.mark.parametrize("typed", [{"quantizer": ["codebook_size"]}, {"model": ["pair_features"]}])
def test_who_chooses_the_codes_gets_them(typed: dict) -> None:
    assert recommended(sparse(), DEFAULT, typed) == (DEFAULT, "")


@pytest.mark.parametrize(("n_items", "batch_size", "n_negatives"), [(40_000, 512, 0), (100_000, 335, 0), (1_000_000, 64, 8192)])
def test_large_catalogues_are_learnt_in_small_batches_or_from_negatives(n_items: int, batch_size: int, n_negatives: int) -> None:
    training = recommended(sparse(n_items), DEFAULT, {}).config.training
    assert (training.batch_size, training.n_negatives) == (batch_size, n_negatives)


@pytest.mark.parametrize(
    "typed",
    [
        {"index": {"unseen": "nearest"}},
        {"model": {"interaction_layers": 2}},
        {"training": {"keep_most": 0.45}},
        {"training": {"teacher_scale": 3.0}},
        {"training": {"joint_teacher": "ease"}},
    ],
)
def test_nothing_is_recommended_that_what_was_typed_does_not_go_with(typed: dict) -> None:
    config = RunConfig.for_data(False, RunConfig.model_validate(typed))
    assert recommended(sparse(20_000), config, typed) == (config, "")


def test_a_teacher_that_was_typed_keeps_a_huge_catalogue_from_negatives_that_would_silence_it() -> None:
    config = RunConfig.for_data(False, RunConfig.model_validate({"training": {"teacher_weight": 0.25}}))
    assert recommended(sparse(250_000), config, {"training": ["teacher_weight"]}) == (config, "")
