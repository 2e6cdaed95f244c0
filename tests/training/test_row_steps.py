from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sparcode.config import TrainingConfig
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.pipeline import two_tower_trainer
from sparcode.training.row_steps import RowAdamW, gradient_norms, optimizers
from tests.tiny import changed, tiny_split

RATE, DECAY = 0.01, 0.1


def sparse(rows: list[int], values: np.ndarray, n_rows: int) -> torch.Tensor:
    return torch.sparse_coo_tensor([rows], torch.from_numpy(values), (n_rows, values.shape[1]), check_invariants=True)


def naive(table: np.ndarray, batches: list[tuple[list[int], np.ndarray]]) -> np.ndarray:
    """The same, row by row, in float64."""
    table = table.astype(np.float64)
    mean, square, steps = np.zeros_like(table), np.zeros_like(table), np.zeros(len(table))
    for rows, values in batches:
        for row in set(rows):
            gradient = sum(value.astype(np.float64) for place, value in zip(rows, values, strict=True) if place == row)
            steps[row] += 1
            mean[row] = 0.9 * mean[row] + 0.1 * gradient
            square[row] = 0.999 * square[row] + 0.001 * gradient**2
            table[row] *= 1 - RATE * DECAY
            root = np.sqrt(square[row] / (1 - 0.999 ** steps[row])) + 1e-8
            table[row] -= RATE * mean[row] / (1 - 0.9 ** steps[row]) / root
    return table


def test_rows_move_as_in_a_plain_loop_and_the_others_stay() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(6, 3)).astype(np.float32)
    batches = [(rows, rng.normal(size=(len(rows), 3)).astype(np.float32)) for rows in ([4, 1, 4], [1], [0, 2, 1, 2], [4])]
    table = nn.Parameter(torch.from_numpy(start.copy()))
    steps = RowAdamW([{"params": [table], "lr": RATE}], DECAY)
    for rows, values in batches:
        table.grad = sparse(rows, values, 6)
        steps.step()
    np.testing.assert_allclose(table.detach().numpy(), naive(start, batches), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(table.detach().numpy()[[3, 5]], start[[3, 5]])


def test_with_gradients_of_all_rows_it_is_adamw() -> None:
    rng = np.random.default_rng(1)
    start = rng.normal(size=(5, 4)).astype(np.float32)
    tables = [nn.Parameter(torch.from_numpy(start.copy())) for _ in range(3)]
    plain = torch.optim.AdamW([tables[0]], lr=RATE, weight_decay=DECAY)
    by_rows = [RowAdamW([{"params": [table], "lr": RATE}], DECAY) for table in tables[1:]]
    for _ in range(7):
        values = rng.normal(size=start.shape).astype(np.float32)
        tables[0].grad = torch.from_numpy(values.copy())
        tables[1].grad = torch.from_numpy(values.copy())
        tables[2].grad = sparse([3, 0, 1, 4, 2], values[[3, 0, 1, 4, 2]], 5)
        for one in (plain, *by_rows):
            one.step()
    for table in tables[1:]:
        torch.testing.assert_close(table, tables[0], rtol=1e-5, atol=1e-6)


def test_a_repeated_row_has_the_norm_of_its_sum() -> None:
    model = nn.Embedding(4, 2, sparse=True)
    model(torch.tensor([1, 1])).sum().backward()
    assert gradient_norms(model).item() == pytest.approx(np.sqrt(8))


def test_tables_are_stepped_by_rows_and_all_else_is_not() -> None:
    config = changed().model
    model = TwoTowerModel(20, config)
    others, rows = optimizers(model, TrainingConfig(), by_rows=True)
    tables = {id(model.items.embedding.weight), id(model.tokenizer.encoder.embedding.weight)}
    assert {id(one) for group in rows.param_groups for one in group["params"]} == tables
    found = [id(one) for group in (*others.param_groups, *rows.param_groups) for one in group["params"]]
    assert sorted(found) == sorted(id(one) for one in model.parameters())
    (plain,) = optimizers(model, TrainingConfig(), by_rows=False)
    assert isinstance(plain, torch.optim.AdamW)
    assert not model.items.embedding.sparse


@pytest.mark.parametrize("encoder", ["mean", "gru", "sasrec"])
@pytest.mark.parametrize("negatives", ["uniform", "popularity", "batch"])
def test_the_first_step_is_that_of_the_whole_table_where_the_batch_touches_a_row(encoder: str, negatives: str) -> None:
    split = tiny_split()
    found = {}
    for steps in ("all", "touched"):
        config = changed(
            model={"encoder": encoder},
            training={"n_negatives": 5, "negatives": negatives, "embedding_steps": steps, "batch_size": 8, "weight_decay": 0.0},
        )
        trainer = two_tower_trainer(split, config)
        start = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        trainer._train_batch(trainer.histories.take(np.arange(8)))
        found[steps] = trainer.model.state_dict()
    for name, value in found["touched"].items():
        torch.testing.assert_close(value, found["all"][name], rtol=1e-4, atol=1e-5, msg=name)
    table = "items.embedding.weight"
    stayed = (found["touched"][table] == start[table]).all(1)
    assert 0 < stayed.sum() < len(stayed) or negatives == "batch"


def test_without_sampled_negatives_all_rows_are_stepped() -> None:
    with pytest.raises(ValueError, match="embedding_steps=touched does nothing with n_negatives=0"):
        changed(training={"embedding_steps": "touched", "n_negatives": 0})
