from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from sparcode.baselines.ease import EASE
from sparcode.baselines.popularity import Popularity
from sparcode.config import SyntheticConfig, TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import Split, split_users
from sparcode.data.synthetic import generate
from sparcode.metrics.evaluation import accuracy
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.query_batch import QueryBatch
from sparcode.retrieval.exact import ExactRetriever, SparseDirectScorer
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.training import pipeline
from sparcode.training.pipeline import (
    TEACHER_MAX_ITEMS,
    _teacher,
    build_run_index,
    check_settings_act,
    fine_tune,
    preview,
    train_backbone,
    train_sparcode,
    train_two_tower,
    with_idle_reset,
)
from sparcode.training.teachers import BackboneTeacher, EaseTeacher, Teacher
from sparcode.training.trainer import validation_recall
from tests.tiny import CONFIG, changed, tiny_backbone, tiny_index, tiny_model, tiny_split


@pytest.fixture(scope="module")
def trained() -> tuple:
    return train_sparcode(tiny_split(), CONFIG)


def test_fine_tuning_never_ends_below_the_preview(trained: tuple) -> None:
    model, _, records = trained
    joint = records[next(row for row, record in enumerate(records) if record.epoch == 0) :]
    assert joint[0].recall == validation_recall(tiny_model(), tiny_split().validation)
    assert validation_recall(model, tiny_split().validation) == max(record.recall for record in joint) >= joint[0].recall


def test_the_planted_structure_is_found() -> None:
    """Clean picks of users with one kind of taste: every network must find far more than popularity."""
    data = generate(SyntheticConfig(n_users=500, n_items=150, difficulty=0.0, seed=1))
    config = changed(
        model={"token_dim": 16, "hidden_dim": 64},
        quantizer={"codebook_size": 32},
        training={"epochs": 30, "joint_epochs": 8, "batch_size": 64, "learning_rate": 5e-3},
    )
    split = split_users(data, config.split)
    model, backbone, _ = train_sparcode(split, config)
    index = build_run_index(model, split.train, config.index)
    found = {
        "SparCode": accuracy(SparseRetriever(model, index, model.threshold), split.test, 20)[0],
        "all-to-all": accuracy(ExactRetriever(backbone), split.test, 20)[0],
        "two-tower": accuracy(ExactRetriever(train_two_tower(split, config)[0]), split.test, 20)[0],
        "popularity": accuracy(ExactRetriever(Popularity().fit(split.train)), split.test, 20)[0],
    }
    assert min(found["SparCode"], found["all-to-all"], found["two-tower"]) > 2 * found["popularity"], found


@pytest.mark.parametrize("encoder", ["mean", "gru", "sasrec"])
@pytest.mark.parametrize("interaction", ["dot", "mlp", "cross", "attention"])
def test_the_same_settings_give_the_same_weights_codes_and_metrics_twice(encoder: str, interaction: str) -> None:
    config = changed(model={"encoder": encoder, "interaction": interaction}, training={"epochs": 2, "joint_epochs": 1})
    runs = []
    for global_seed in (1, 2):
        # Whatever else a process has drawn must not matter.
        torch.manual_seed(global_seed)
        model, _, records = train_sparcode(tiny_split(), config)
        index = build_run_index(model, tiny_split().train, config.index)
        measured = accuracy(SparseRetriever(model, index, model.threshold), tiny_split().test, 20)
        rows = [record._replace(train_seconds=0)._asdict() for record in records]
        runs.append((model.state_dict(), model.encode(tiny_split().test.queries), rows, measured))
    (one, codes, first_rows, first), (other, same_codes, second_rows, second) = runs
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    np.testing.assert_array_equal(codes, same_codes)
    np.testing.assert_equal(first_rows, second_rows)
    assert first == second


def test_the_index_answers_like_the_thresholded_model(trained: tuple) -> None:
    model, split = trained[0], tiny_split()
    index = build_run_index(model, split.train, CONFIG.index)
    through_index = SparseRetriever(model, index, model.threshold).retrieve(split.test.queries, 10)
    direct = ExactRetriever(SparseDirectScorer(model, model.threshold)).retrieve(split.test.queries, 10)
    np.testing.assert_array_equal(through_index.item_ids, direct.item_ids)


def test_the_index_holds_a_list_for_every_training_code_and_the_floor_asked_for() -> None:
    index, model = tiny_index(), tiny_model()
    assert index.codes.tolist() == np.unique(model.encode(tiny_split().train)[0]).tolist()
    assert index.floor <= model.threshold
    assert index.density(index.floor) == pytest.approx(CONFIG.index.floor_density, abs=0.01)


def test_two_tower_may_train_as_long_as_both_stages_together() -> None:
    config = changed(training={"epochs": 2, "joint_epochs": 3, "patience": 100})
    assert len(train_two_tower(tiny_split(), config)[1]) == 5
    assert len(train_backbone(tiny_split(), config)[1]) == 2


def test_no_joint_epochs_leave_the_preview() -> None:
    model = preview(tiny_backbone(), tiny_split(), CONFIG)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert fine_tune(model, tiny_split(), changed(training={"joint_epochs": 0})) == []
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_stopping_during_the_backbone_still_leaves_a_model_that_serves() -> None:
    seen: list = []
    model, _, records = train_sparcode(tiny_split(), CONFIG, seen.append, lambda: len(seen) >= 1)
    assert len(records) == 1
    assert np.isfinite(model.score(tiny_split().test.queries)).all()


def teacher(split: Split, backbone: AllToAllModel | None = None, **training: object) -> Teacher | None:
    return _teacher(split, TrainingConfig(**training), torch.device("cpu"), backbone)


def test_a_backbone_can_be_watched_from_its_untrained_start_which_changes_nothing() -> None:
    watched: list[int] = []
    model, records = train_backbone(tiny_split(), CONFIG, lambda record: watched.append(record.epoch), with_start=True)
    assert watched == [record.epoch for record in records] == list(range(CONFIG.training.epochs + 1))
    assert np.isnan(records[0].loss)
    assert 0 <= records[0].recall < records[-1].recall
    unwatched = train_backbone(tiny_split(), CONFIG)[0].state_dict()
    assert [name for name, value in model.state_dict().items() if not torch.equal(value, unwatched[name])] == []


def test_continuous_networks_learn_from_ease_of_the_training_users() -> None:
    train = tiny_split().train
    queries = QueryBatch.from_histories(train.take(np.arange(3)))
    made = teacher(tiny_split(), teacher_scale=3)
    scores = EASE().fit(train).score(train.take(np.arange(3)))
    torch.testing.assert_close(made.soft_targets(queries, train), torch.softmax(3 * torch.from_numpy(scores), dim=1))


def test_ease_may_teach_from_whole_histories() -> None:
    histories = tiny_split().train.take(np.arange(3))
    shown = QueryBatch.from_histories(histories.select(np.arange(len(histories.items)) % 2 == 0))
    by_query, by_history = (teacher(tiny_split(), ease_sees=sees).soft_targets(shown, histories) for sees in ("query", "history"))
    whole = teacher(tiny_split()).soft_targets(QueryBatch.from_histories(histories), histories)
    torch.testing.assert_close(by_history, whole)
    assert not torch.allclose(by_query, whole)


def test_joint_training_learns_from_the_backbone_that_saw_whole_histories() -> None:
    model, histories = copy.deepcopy(tiny_model()), tiny_split().train.take(np.arange(3))
    made = teacher(tiny_split(), model.backbone)
    expected = torch.softmax(torch.from_numpy(tiny_backbone().score(histories)), dim=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    shown = QueryBatch.from_histories(histories.select(np.arange(len(histories.items)) % 2 == 0))
    torch.testing.assert_close(made.soft_targets(shown, histories), expected)


@pytest.mark.parametrize(("name", "kind"), [("backbone", BackboneTeacher), ("ease", EaseTeacher)])
def test_the_settings_choose_the_teacher_of_joint_training(name: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()  # trained before `fit` is replaced
    monkeypatch.setattr(pipeline, "fit", lambda trainer, *_: trainer._teacher)
    assert isinstance(fine_tune(model, tiny_split(), changed(training={"joint_teacher": name})), kind)


def test_settings_that_the_data_leaves_without_effect_are_refused() -> None:
    split = tiny_split()
    untimed, large = split._replace(has_time=False), split._replace(train=Histories.from_lists([[0, 1]], TEACHER_MAX_ITEMS + 1))
    check_settings_act(split._replace(has_time=True), TrainingConfig(first_part_share=0.5, teacher_scale=3))
    check_settings_act(untimed, TrainingConfig(first_part_share=0))
    with pytest.raises(ValueError, match=r"first_part_share=0\.5 does nothing where the data has no times"):
        check_settings_act(untimed, TrainingConfig(first_part_share=0.5))
    with pytest.raises(ValueError, match=r"teacher_scale=3\.0 does nothing: EASE teaches on at most 10000 items, the data has 10001"):
        check_settings_act(large, TrainingConfig(teacher_scale=3))


@pytest.mark.parametrize("field", ["teacher_weight", "teacher_scale", "ease_sees", "negatives", "embedding_steps"])
def test_settings_of_teachers_and_negatives_act_as_the_number_of_items_says(field: str) -> None:
    values = {"teacher_weight": 0.3, "teacher_scale": 3.0, "ease_sees": "history", "negatives": "popularity", "embedding_steps": "touched"}
    split, value = tiny_split(), values[field]
    n_items = split.train.n_items
    idle, acts = (n_items, 10) if field in ("negatives", "embedding_steps") else (10, n_items)
    check_settings_act(split, TrainingConfig(**{field: value}, n_negatives=acts))
    check_settings_act(split, TrainingConfig(n_negatives=idle))
    with pytest.raises(ValueError, match=f"{field}={value} does nothing with n_negatives={idle}"):
        check_settings_act(split, TrainingConfig(**{field: value}, n_negatives=idle))
    config = changed(training={field: value, "n_negatives": idle})
    assert with_idle_reset(split, config, {field}) == config
    assert with_idle_reset(split, config, ()).training == changed(training={"n_negatives": idle}).training


def test_there_is_no_teacher_where_the_settings_or_the_catalogue_leave_it_out() -> None:
    split = tiny_split()
    assert teacher(split, teacher_weight=0) is None
    assert teacher(split, n_negatives=10) is None
    assert teacher(split._replace(train=Histories.from_lists([[0, 1]], TEACHER_MAX_ITEMS + 1))) is None
    # As many negatives as items are no sample.
    assert teacher(split, n_negatives=split.train.n_items) is not None
