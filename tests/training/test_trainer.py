from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from sparcode.baselines.ease import EASE
from sparcode.config import TrainingConfig
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.initialisation import initialise
from sparcode.model.query_batch import QueryBatch
from sparcode.model.trainable import UsedCodes
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.fit import fit
from sparcode.training.teachers import EaseTeacher
from sparcode.training.time_limit import TimeLimit
from sparcode.training.trainer import DivergenceError, Trainer, validation_recall
from tests.tiny import CONFIG, changed, fresh_backbone, tiny_model, tiny_split

I = 30


def histories(n_users: int = 20, seed: int = 0) -> Histories:
    rng = np.random.default_rng(seed)
    return Histories.from_lists([rng.permutation(I)[: rng.integers(5, 15)].tolist() for _ in range(n_users)], I)


def trainer(in_time: bool = False, **fields: object) -> Trainer:
    config = TrainingConfig(**{"batch_size": 8, **fields})
    return Trainer(fresh_backbone(I, CONFIG.model), histories(), config, in_time=in_time)


def coded(**fields: object) -> Trainer:
    return Trainer(copy.deepcopy(tiny_model()), tiny_split().train, changed(training=fields).training)


def test_a_first_part_is_shown_where_order_means_time() -> None:
    data = histories()
    shown = trainer(in_time=True, first_part_share=1.0)._shown(data)
    for row in range(len(data)):
        places = np.flatnonzero(shown[data.indptr[row] : data.indptr[row + 1]])
        assert places.tolist() == list(range(len(places)))
        assert 0.4 * data.lengths[row] <= len(places) <= np.ceil(0.9 * data.lengths[row])


@pytest.mark.parametrize(("in_time", "share"), [(False, 1.0), (True, 0.0)])
def test_otherwise_a_random_part_is_shown(in_time: bool, share: float) -> None:
    data = histories(200)
    shown = trainer(in_time=in_time, first_part_share=share)._shown(data)
    place = (np.arange(len(data.items)) - data.indptr[data.rows]) / data.lengths[data.rows]
    assert 0.4 < shown.mean() < 0.9
    # As likely at the end of a history as at its start.
    assert abs(shown[place < 0.5].mean() - shown[place >= 0.5].mean()) < 0.08


def test_the_share_shown_lies_between_its_bounds() -> None:
    data = Histories.from_lists([list(range(I))] * 50, I)
    shown = trainer(in_time=True, first_part_share=1.0, keep_least=0.5, keep_most=0.6)._shown(data)
    shares = shown.reshape(50, I).mean(1)
    assert (shares >= 0.5).all()
    assert (shares <= 0.6 + 1 / I).all()
    assert len(set(shares.tolist())) > 1


@pytest.mark.parametrize("kind", ["two-tower", "all-to-all", "sparcode", "uniform", "popularity", "batch", "taught"])
def test_the_same_seed_trains_the_same_weights(kind: str) -> None:
    def trained(seed: int) -> dict[str, torch.Tensor]:
        sampling = {"n_negatives": 20, "negatives": kind} if kind in ("uniform", "popularity", "batch") else {}
        config = changed(training={"seed": seed, **sampling}).training
        n_items = tiny_split().train.n_items
        if kind == "sparcode":
            model = copy.deepcopy(tiny_model())
        else:
            model = (TwoTowerModel if kind == "two-tower" else AllToAllModel)(n_items, CONFIG.model, config.dropout)
            initialise(model, seed)
        teacher = EaseTeacher(EASE().fit(tiny_split().train).weights_, 5, torch.device("cpu")) if kind == "taught" else None
        runner = Trainer(model, tiny_split().train, config, teacher=teacher)
        for _ in range(2):
            runner.train_epoch()
        return model.state_dict()

    first, second, other = trained(1), trained(1), trained(2)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_lowers_the_loss() -> None:
    # Two groups of users with ten items each: whoever learns the groups halves the candidates, log 2 less per target.
    groups = Histories.from_lists([list(range(10 * (user % 2), 10 * (user % 2) + 10)) for user in range(40)], 20)
    runner = Trainer(fresh_backbone(20, CONFIG.model), groups, TrainingConfig(batch_size=8, dropout=0, learning_rate=1e-2))
    losses = [runner.train_epoch().loss for _ in range(15)]
    assert losses[0] > 10 * math.log(15)
    assert losses[-1] == pytest.approx(10 * math.log(10), rel=0.05)
    assert runner.epoch == 15


def test_a_record_counts_codes_only_where_there_are_any() -> None:
    plain = trainer().train_epoch()
    assert math.isnan(plain.perplexity)
    assert plain.codes_in_use == 0
    model = copy.deepcopy(tiny_model())
    record = Trainer(model, tiny_split().train, CONFIG.training).train_epoch()
    size = CONFIG.quantizer.codebook_size
    assert 1 <= record.perplexity <= size
    assert record.codes_in_use == len(np.unique(model.encode(tiny_split().train)[0])) <= size**2


def test_users_count_by_a_power_of_their_number_of_targets() -> None:
    targets = Histories.from_lists([[0], [1, 2, 3, 4], []], I)
    assert trainer()._weights(targets) is None
    mean = histories().lengths.mean()
    by_user = trainer(length_exponent=0)._weights(targets)
    torch.testing.assert_close(by_user * torch.tensor([1, 4, 0]), torch.tensor([mean, mean, 0], dtype=torch.float32))
    by_root = trainer(length_exponent=0.5)._weights(targets)
    torch.testing.assert_close(by_root[0], 2 * by_root[1])


@pytest.mark.parametrize("sampling", [{}, {"n_negatives": 5}, {"n_negatives": 5, "negatives": "popularity"}])
def test_users_who_count_alike_train_another_model(sampling: dict) -> None:
    losses = [trainer(length_exponent=exponent, **sampling).train_epoch().loss for exponent in (1, 0.99999, 0)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[2] != pytest.approx(losses[0], rel=1e-2)


@pytest.mark.parametrize("target", ["history", "hidden"])
def test_a_query_predicts_the_whole_history_or_what_it_is_not_shown(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = trainer(target=target)
    seen: list[tuple] = []
    loss = runner._loss
    monkeypatch.setattr(runner, "_loss", lambda *batch: seen.append(batch) or loss(*batch))
    runner.train_epoch()
    for queries, targets, histories in seen:
        for row, history in enumerate(histories[row] for row in range(len(histories))):
            shown = queries.items[queries.offsets[row] : queries.offsets[row + 1]].tolist()
            expected = history.tolist() if target == "history" else [item for item in history.tolist() if item not in shown]
            assert targets[row].tolist() == expected
            assert set(shown) <= set(history.tolist())


@pytest.mark.parametrize(
    ("kind", "schedule", "expected"),
    [
        ("joint", "cosine", [1, (2 + math.sqrt(2)) / 4, 0.5, 0, 0]),
        ("backbone", "cosine", [1, (2 + math.sqrt(2)) / 4, 0.5, 0, 0]),
        ("backbone", "constant", [1] * 5),
    ],
)
def test_the_step_size_follows_the_schedule_and_that_of_joint_training_a_cosine(kind: str, schedule: str, expected: list[float]) -> None:
    config = CONFIG.training.model_copy(update={"schedule": schedule})
    model = copy.deepcopy(tiny_model()) if kind == "joint" else fresh_backbone(tiny_split().train.n_items, CONFIG.model)
    runner = Trainer(model, tiny_split().train, config, total_epochs=4)
    rates = []
    for position in (0, 1, 2, 4, 9):
        runner._set_position(position)
        rates.append(runner._rate_groups[0]["lr"])
    first = config.joint_learning_rate if kind == "joint" else config.learning_rate
    assert rates == pytest.approx([first * share for share in expected])


def test_codewords_have_a_rate_of_their_own_and_no_decay() -> None:
    groups = coded()._rate_groups
    assert [group["lr"] for group in groups] == [CONFIG.training.joint_learning_rate, CONFIG.training.codebook_learning_rate]
    assert [group["weight_decay"] for group in groups] == [CONFIG.training.weight_decay, 0]


@pytest.mark.parametrize("stage", ["backbone", "joint"])
def test_a_diverging_run_says_what_to_try_and_keeps_its_weights(stage: str) -> None:
    runner = trainer() if stage == "backbone" else coded()
    backbone = runner.model if stage == "backbone" else runner.model.backbone
    rate = {"backbone": 0.003, "joint": 0.002}[stage]
    runner.train_epoch()
    with torch.no_grad():
        backbone.interaction.items.bias[3] = float("nan")
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    with pytest.raises(
        DivergenceError, match=r"the loss became nan in epoch 2; .* smaller learning rate \(now .*\) or a larger batch"
    ) as error:
        runner.train_epoch()
    assert "left as it was before that batch" in str(error.value)
    assert 0 < float(str(error.value).partition("(now ")[2].partition(")")[0]) <= rate
    for name, value in runner.model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_stopping_ends_an_epoch_between_batches() -> None:
    answers = iter([False, True])
    record = trainer().train_epoch(lambda: next(answers))
    assert record.stopped
    assert math.isfinite(record.loss)
    nothing = trainer().train_epoch(lambda: True)
    assert nothing.stopped
    assert math.isnan(nothing.loss)


def test_nobody_to_train_on_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one user"):
        Trainer(fresh_backbone(I, CONFIG.model), Histories.from_lists([], I), TrainingConfig())


def test_validation_counts_only_what_serving_can_return() -> None:
    model, validation = copy.deepcopy(tiny_model()), tiny_split().validation
    usual = validation_recall(model, validation)
    assert 0 < usual <= 1
    model.tau.fill_(float("inf"))
    assert validation_recall(model, validation) == 0


def test_validation_recall_is_that_of_a_ranking_by_hand() -> None:
    model, validation = fresh_backbone(tiny_split().train.n_items, CONFIG.model), tiny_split().validation
    scores = model.score(validation.queries)
    scores[validation.queries.rows, validation.queries.items] = -np.inf
    expected = recall_at_k(np.argsort(-scores, axis=1)[:, :50], validation.targets, 50).mean()
    assert validation_recall(model, validation) == pytest.approx(float(expected))


def test_fit_keeps_the_best_checkpoint_the_start_included() -> None:
    # Steps so large that they can only spoil the model.
    runner = coded(joint_learning_rate=1.0, codebook_learning_rate=1.0, joint_epochs=3)
    start = validation_recall(runner.model, tiny_split().validation)
    records = fit(runner, tiny_split().validation)
    best = max(record.recall for record in records)
    assert [record.epoch for record in records] == [0, 1, 2, 3]
    assert records[0].recall == start
    assert validation_recall(runner.model, tiny_split().validation) == best >= start


def test_fit_ends_when_its_patience_does() -> None:
    runner = coded(joint_learning_rate=1.0, codebook_learning_rate=1.0, joint_epochs=50, patience=2)
    records = fit(runner, tiny_split().validation)
    best = max(range(len(records)), key=lambda row: records[row].recall)
    assert len(records) == best + 3 < 50


def test_fit_reports_every_epoch_and_stops_when_asked() -> None:
    seen: list[EpochRecord] = []
    records = fit(coded(joint_epochs=9), tiny_split().validation, seen.append, lambda: len(seen) >= 2)
    assert seen == records
    assert len(records) == 2


def test_a_time_limit_cuts_the_epochs_to_those_that_fit_and_lets_the_step_size_fall_within_them() -> None:
    passed = [0.0]
    limit = TimeLimit(45.0, clock=lambda: passed[0])
    runner = coded(joint_epochs=50, patience=50)

    def ten_seconds_an_epoch(record: EpochRecord) -> None:
        passed[0] += 10.0 * (record.epoch > 0)

    records = fit(runner, tiny_split().validation, ten_seconds_an_epoch, limit=limit)
    assert [record.epoch for record in records] == [0, 1, 2, 3, 4]
    assert limit.ended_training
    # The last batch of the last epoch is almost at the end of the cosine.
    assert runner._rate_groups[0]["lr"] < 0.1 * runner._first_rates[0]


def test_a_time_limit_that_is_over_leaves_the_start_and_a_long_one_changes_nothing() -> None:
    short, long = TimeLimit(0.0), TimeLimit(1e9)
    assert [record.stopped for record in fit(coded(joint_epochs=3), tiny_split().validation, limit=short)] == [False]
    records = fit(coded(joint_epochs=3), tiny_split().validation, limit=long)
    assert [record.recall for record in records] == [record.recall for record in fit(coded(joint_epochs=3), tiny_split().validation)]
    assert (short.ended_training, long.ended_training) == (True, False)


def test_a_failure_leaves_the_best_epoch_so_far() -> None:
    runner = coded()

    def fail(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise RuntimeError("enough")

    recalls: list[float] = []
    with pytest.raises(RuntimeError, match="enough"):
        fit(runner, tiny_split().validation, lambda record: (recalls.append(record.recall), fail(record)))
    assert validation_recall(runner.model, tiny_split().validation) == max(recalls)


def test_a_new_kind_of_model_is_trained_by_its_own_answers() -> None:
    class Watched(TwoTowerModel):
        start_is_checkpoint = True

        def __init__(self) -> None:
            super().__init__(I, CONFIG.model)
            initialise(self, 0)
            self.calls: list[str] = []

        def epochs(self, config: TrainingConfig) -> int:
            return 2

        def parameter_groups(self, config: TrainingConfig) -> list[dict]:
            return [{"params": [self.items.bias], "lr": 0.5}]

        def rate_falls(self, config: TrainingConfig) -> bool:
            return False

        def after_step(self, queries: QueryBatch, generator: torch.Generator) -> int:
            self.calls.append("step")
            return 3

        def before_validation(self, queries: Histories, config: TrainingConfig) -> None:
            self.calls.append("validation")

        def servable_scores(self, queries: Histories) -> np.ndarray:
            return np.full((len(queries), I), -np.inf, dtype=np.float32)

        def used_codes(self, queries: Histories) -> UsedCodes:
            return UsedCodes(np.array([0, 1, 5]), 2, 3)

    model, data = Watched(), histories()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    runner = Trainer(model, data, TrainingConfig(batch_size=10))
    records = fit(runner, EvaluationSet(data, data, np.arange(len(data))))
    assert [record.epoch for record in records] == [0, 1, 2]
    assert model.calls == ["validation", "step", "step", "validation", "step", "step", "validation"]
    assert [(record.revived, record.recall, record.codes_in_use) for record in records] == [(0, 0, 3), (6, 0, 3), (6, 0, 3)]
    # No epoch was better than the start, which is the checkpoint.
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [group["lr"] for group in runner._rate_groups] == [0.5]


def test_an_untrained_model_has_no_epoch_zero() -> None:
    runner = Trainer(fresh_backbone(tiny_split().train.n_items, CONFIG.model), tiny_split().train, changed(training={"epochs": 2}).training)
    assert [record.epoch for record in fit(runner, tiny_split().validation)] == [1, 2]
