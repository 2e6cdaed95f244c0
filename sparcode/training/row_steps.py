"""Steps of Adam that move only those rows of an embedding table that a batch has a gradient for.

A dense step reads and writes every row with its two moments. With negatives sampled from a large catalogue a batch touches few rows, and
nearly all of the step is spent on the others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparcode.config import TrainingConfig
from sparcode.model.trainable import TrainableModel

BETAS, EPSILON = (0.9, 0.999), 1e-8


class RowAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) of tables, (I, D) float32, row by row.

    A row without a gradient keeps its value and moments and does not decay. Every row counts its own steps, so the first one of a rare row
    is as long as any other's. Of a dense gradient every row counts as touched, which is AdamW.
    """

    def __init__(self, params: list[dict[str, object]], weight_decay: float) -> None:
        super().__init__(params, {"lr": 1e-3, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Move the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, group["lr"], group["weight_decay"])

    def _move(self, table: Tensor, rate: float, weight_decay: float) -> None:
        state = self.state[table]
        if not state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
            # Float32, for the optimizer's loading gives state the type of the parameter; whole up to 2**24 steps.
            state["row_steps"] = torch.zeros(len(table), 1, device=table.device)
        whole = not table.grad.is_sparse
        rows = slice(None) if whole else (gradient := table.grad.coalesce()).indices()[0]
        values = table.grad if whole else gradient.values()  # (n, D)
        arrays = (state["row_steps"], state["exp_avg"], state["exp_avg_sq"], table)
        steps, mean, square, moved = (array.clone() if whole else array.index_select(0, rows) for array in arrays)
        steps += 1
        mean.lerp_(values, 1 - BETAS[0])
        square.mul_(BETAS[1]).addcmul_(values, values, value=1 - BETAS[1])
        length = (square / (1 - BETAS[1] ** steps)).sqrt_().add_(EPSILON)
        moved.mul_(1 - rate * weight_decay).sub_(mean / length * (rate / (1 - BETAS[0] ** steps)))
        for array, new in zip(arrays, (steps, mean, square, moved), strict=True):
            if whole:
                array.copy_(new)
            else:
                array.index_copy_(0, rows, new)


def optimizers(model: TrainableModel, config: TrainingConfig, by_rows: bool) -> list[torch.optim.Optimizer]:
    """AdamW of a model's groups of parameters; `by_rows`: without its embedding tables, and `RowAdamW` for these.

    Tables get sparse gradients from here on if `by_rows`, dense ones if not.
    """
    tables = [module for module in model.modules() if isinstance(module, (nn.Embedding, nn.EmbeddingBag))]
    for module in tables:
        module.sparse = by_rows
    groups = model.parameter_groups(config)
    if not by_rows or not tables:
        return [torch.optim.AdamW(groups, weight_decay=config.weight_decay, fused=True)]
    of_tables = {id(module.weight) for module in tables}
    others, rows = (
        [{**group, "params": [one for one in group["params"] if (id(one) in of_tables) == chosen]} for group in groups]
        for chosen in (False, True)
    )
    return [
        torch.optim.AdamW(others, weight_decay=config.weight_decay, fused=True),
        RowAdamW([group for group in rows if group["params"]], config.weight_decay),
    ]


def gradient_norms(model: nn.Module) -> Tensor:
    """The norm of the gradient of every parameter that has one; sparse ones are coalesced."""
    norms = []
    for parameter in model.parameters():
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            norms.append(parameter.grad.values().norm())
        else:
            norms.append(parameter.grad.norm())
    return torch.stack(norms)
