"""`Trainer` trains one epoch at a time; `sparcode.training.fit` loops."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparcode.config import DEFAULT_K, TrainingConfig
from sparcode.data.evaluation_protocol import STRONG, EvaluationProtocol
from sparcode.data.interactions import Histories
from sparcode.data.split import EvaluationSet
from sparcode.device import device_of
from sparcode.metrics.codes import dead_share, perplexity
from sparcode.metrics.ranking import recall_at_k
from sparcode.model.initialisation import dropout_states, restore_dropout, seed_dropout
from sparcode.model.query_batch import QueryBatch, query_blocks, rows_of
from sparcode.model.ranks import current
from sparcode.model.trainable import TrainableModel
from sparcode.retrieval.top_k import top_k
from sparcode.training.checkpoint import State
from sparcode.training.epoch_record import EpochRecord, ShouldStop, never_stop
from sparcode.training.losses import corrected_softmax_loss, distilled_softmax_loss, sampled_softmax_loss, softmax_loss
from sparcode.training.negatives import NegativeSampler
from sparcode.training.row_steps import gradient_norms, optimizers
from sparcode.training.teachers import Teacher

VALIDATION_K = DEFAULT_K
STATISTICS_QUERIES = 1024
# Names of their states: the one of all parameters, or of those outside tables, and the one of tables.
_OPTIMIZERS = ("optimizer", "row_optimizer")


class DivergenceError(RuntimeError):
    """The loss, or its gradient, is no longer finite."""


class Trainer:
    """Trains one model on histories; the model is usable after every epoch.

    A training history is both query and target: a part of it (between `keep_least` and `keep_most`) is shown, all of it or only the rest is
    to be predicted, see `target`. The part is the first one or a random one, see `first_part_share`.

    Parameters
    ----------
    total_epochs
        Length of the cosine along which the step size falls (see `schedule`).
    in_time
        Whether histories are ordered in time.
    teacher
        Soft targets with the weight `teacher_weight`; not used with sampled negatives.
    protocol
        Says whether queries show any of a history.
    """

    def __init__(
        self,
        model: TrainableModel,
        histories: Histories,
        config: TrainingConfig,
        total_epochs: int | None = None,
        in_time: bool = False,
        teacher: Teacher | None = None,
        protocol: EvaluationProtocol = STRONG,
    ) -> None:
        if len(histories) == 0:
            raise ValueError("training needs at least one user's history; got none")
        self.model, self.histories, self.config = model, histories, config
        # What the training users' queries are when served.
        self.queries = protocol.queries_of(histories)
        self._shows_history = protocol.shows_history
        self.total_epochs = model.epochs(config) if total_epochs is None else total_epochs
        self.epoch = 0
        self._first_part_share = config.first_part_share if in_time else 0.0
        self._mean_length = float(histories.lengths.mean())
        self._device = device_of(model)
        self._teacher = teacher
        self._sampler = None if config.negatives == "uniform" else NegativeSampler(histories, config.negatives, config.n_negatives)
        self._rng = np.random.default_rng([config.seed, model.random_stream])
        self._generator = torch.Generator().manual_seed(config.seed)
        self._ranks = current()
        if len(histories) < self._ranks.n:
            raise ValueError(f"{self._ranks.n} processes need at least as many users to train on; the data has {len(histories)}")
        seed_dropout(model, config.seed, self._ranks.rank)
        is_sampled = 0 < config.n_negatives < histories.n_items
        self._optimizers = optimizers(model, config, by_rows=is_sampled and config.embedding_steps == "touched")
        # The optimizers say which gradients are sparse.
        self._network = self._ranks.averaging(model)
        self._first_rates = [group["lr"] for group in self._rate_groups]

    def train_epoch(self, should_stop: ShouldStop = never_stop) -> EpochRecord:
        """Go once through all users; `should_stop` is asked between batches and ends the epoch early.

        `DivergenceError`, with the epoch and what to try, if the loss or a gradient is not finite.
        """
        started = time.perf_counter()
        self.model.train()
        self.epoch += 1
        loss_sum, commit_sum, n_batches, revived, stopped = 0.0, 0.0, 0, 0, False
        batches = list(self._batches())
        for number, rows in enumerate(batches):
            if self._ranks.any(should_stop()):
                stopped = True
                break
            self._set_position(self.epoch - 1 + number / len(batches))
            with self._ranks.connected():
                loss, commit, count = self._train_batch(self.histories.take(rows))
            loss_sum, commit_sum, n_batches, revived = loss_sum + loss, commit_sum + commit, n_batches + 1, revived + count
        self.model.eval()
        seconds = time.perf_counter() - started
        losses = (loss_sum / n_batches, commit_sum / n_batches) if n_batches else (math.nan, math.nan)
        return self._record(*losses, revived, seconds, stopped)

    def probe(self, n_batches: int) -> float:
        """Seconds that an epoch takes, from so many batches after a first one; what these batches taught stays in the model."""
        self.model.train()
        seconds, batches = [], list(self._batches())
        for rows in itertools.islice(itertools.cycle(batches), 1 + n_batches):
            started = time.perf_counter()
            self._train_batch(self.histories.take(rows))
            seconds.append(time.perf_counter() - started)
        self.model.eval()
        return float(np.mean(seconds[1:])) * len(batches)

    def initial_record(self) -> EpochRecord:
        """Epoch 0: the state before training (for a SparCode model, the preview)."""
        self.model.eval()
        return self._record(math.nan, math.nan, 0, 0.0, False)

    def state(self) -> State:
        """What later epochs depend on, beside data and settings: weights, optimizer, random generators and the epoch.

        Of processes that train together all must ask for it; it is the same in all.
        """
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for prefix, optimizer in zip(_OPTIMIZERS, self._optimizers, strict=False):
            for place, entry in optimizer.state_dict()["state"].items():
                tensors |= {f"{prefix}.{place}.{name}": value for name, value in entry.items()}
        for name, value in dropout_states(self.model).items():
            tensors |= {f"{_dropout_of(rank)}.{name}": found for rank, found in enumerate(self._ranks.every(value))}
        tensors["generator"] = self._generator.get_state()
        return State(tensors, {"epoch": self.epoch, "rng": self._rng.bit_generator.state})

    def restore(self, state: State) -> None:
        """Go back to a `state`: the next epoch is the same to the bit. KeyError, RuntimeError or ValueError if it does not fit."""
        self.model.load_state_dict(state.part("model"))
        for prefix, optimizer in zip(_OPTIMIZERS, self._optimizers, strict=False):
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in state.part(prefix).items():
                place, _, moment = name.partition(".")
                moments.setdefault(int(place), {})[moment] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        restore_dropout(self.model, state.part(_dropout_of(self._ranks.rank)))
        self._generator.set_state(state.tensors["generator"])
        self._rng.bit_generator.state = state.values["rng"]
        self.epoch = state.values["epoch"]

    def _set_position(self, position: float) -> None:
        if not self.model.rate_falls(self.config):
            return
        done = min(1.0, position / max(1, self.total_epochs))
        factor = 0.5 * (1 + math.cos(math.pi * done))
        for group, rate in zip(self._rate_groups, self._first_rates, strict=True):
            group["lr"] = rate * factor

    @property
    def _rate_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def _batches(self) -> Iterator[np.ndarray]:
        order = self._rng.permutation(len(self.histories))
        for start in range(0, len(order), self.config.batch_size):
            # Users of a last batch that has none for some process are left to another epoch.
            if len(batch := order[start : start + self.config.batch_size]) >= self._ranks.n:
                yield batch

    def _train_batch(self, histories: Histories) -> tuple[float, float, int]:
        """Train on this process's share of a batch, which all draw alike."""
        shown = self._shown(histories)
        own, weight = self._ranks.share(len(histories)), self._ranks.weight(len(histories))
        queries = QueryBatch.from_histories(rows_of(histories.select(shown), own), self._device)
        targets = histories.select(~shown) if self.config.target == "hidden" else histories
        loss, commit = self._loss(queries, targets, histories)
        means = self._ranks.add_up(torch.stack([loss.detach(), commit.detach()]) * (weight / self._ranks.n))
        self._check_finite("loss", means.sum())
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        ((loss + commit) * weight).backward()
        self._check_finite("gradient's norm", gradient_norms(self.model).sum())
        for optimizer in self._optimizers:
            optimizer.step()
        revived = self.model.after_step(queries, self._generator)
        return float(means[0]), float(means[1]), revived

    def _shown(self, histories: Histories) -> np.ndarray:
        """(n,) bool: which interactions the queries show."""
        if not self._shows_history:
            return np.zeros(len(histories.items), dtype=bool)
        rows = histories.rows
        share = self._rng.uniform(self.config.keep_least, self.config.keep_most, len(histories))[rows]
        place = self._rng.random(len(rows))
        if self._first_part_share == 0:
            return place < share
        first_part = (self._rng.random(len(histories)) < self._first_part_share)[rows]
        place_in_time = (np.arange(len(rows)) - histories.indptr[rows]) / histories.lengths[rows]
        return np.where(first_part, place_in_time, place) < share

    def _check_finite(self, name: str, value: Tensor) -> None:
        if not torch.isfinite(value):
            raise DivergenceError(
                f"the {name} became {float(value.detach())} in epoch {self.epoch}; the model was left as it was before that batch. "
                f"Try a smaller learning rate (now {self._rate_groups[0]['lr']:g}) or a larger batch."
            )

    def _loss(self, queries: QueryBatch, targets: Histories, histories: Histories) -> tuple[Tensor, Tensor]:
        """Losses of this process's queries, towards the candidates of the whole batch."""
        own = self._ranks.share(len(targets))
        entries = slice(targets.indptr[own.start], targets.indptr[own.stop])
        rows = self._tensor(targets.rows[entries] - own.start)
        n_items, n_negatives, weights = targets.n_items, self.config.n_negatives, self._weights(rows_of(targets, own))
        if not 0 < n_negatives < n_items:
            logits, commit = self._network(queries)
            columns = self._tensor(targets.items[entries])
            if self._teacher is None:
                return softmax_loss(logits, rows, columns, weights), commit
            soft_targets = self._teacher.soft_targets(queries, rows_of(histories, own))
            return distilled_softmax_loss(logits, rows, columns, soft_targets, self.config.teacher_weight, weights), commit
        if self._sampler is not None:
            drawn = self._sampler.draw(targets, self._rng)
            logits, commit = self._network(queries, self._tensor(drawn.items))
            log_weights = torch.from_numpy(drawn.log_weights).to(self._device)
            return corrected_softmax_loss(logits, rows, self._tensor(drawn.columns[entries]), log_weights, weights), commit
        distinct, columns = np.unique(targets.items, return_inverse=True)
        negatives = self._rng.integers(n_items, size=n_negatives)
        logits, commit = self._network(queries, self._tensor(np.concatenate([negatives, distinct])))
        return sampled_softmax_loss(logits, rows, self._tensor(columns[entries] + n_negatives), n_negatives, n_items, weights), commit

    def _weights(self, targets: Histories) -> Tensor | None:
        """(B,) float32 factors on queries' sums over targets, 1 for as many targets as an average history has; None: all 1."""
        if self.config.length_exponent == 1:
            return None
        relative = np.maximum(targets.lengths, 1) / self._mean_length
        return torch.from_numpy((relative ** (self.config.length_exponent - 1)).astype(np.float32)).to(self._device)

    def _tensor(self, indices: np.ndarray) -> Tensor:
        return torch.from_numpy(indices.astype(np.int64)).to(self._device)

    def _record(self, loss: float, commit_loss: float, revived: int, seconds: float, stopped: bool) -> EpochRecord:
        spread, dead, in_use = math.nan, math.nan, 0
        used = self.model.used_codes(self.queries.take(np.arange(min(STATISTICS_QUERIES, len(self.queries)))))
        if used is not None:
            spread, dead, in_use = float(np.mean(perplexity(*used))), float(np.mean(dead_share(*used))), len(np.unique(used.codes))
        return EpochRecord(self.epoch, loss, commit_loss, math.nan, spread, dead, in_use, revived, seconds, stopped)


def validation_recall(model: TrainableModel, validation: EvaluationSet) -> float:
    """Mean recall at `DEFAULT_K` over validation users, by scoring every item that serving can return.

    Processes that train together score a share of the users each.
    """
    ranks = current()
    own = ranks.share(len(validation.queries))
    queries, targets, found = rows_of(validation.queries, own), rows_of(validation.targets, own), []
    for block in query_blocks(queries) if len(queries) else ():
        scores = model.servable_scores(block)
        if np.isnan(scores).any():
            raise DivergenceError("the model's scores are no longer numbers; try a smaller learning rate or a larger batch")
        found.append(top_k(scores, VALIDATION_K, block).item_ids)
    recalls = recall_at_k(np.concatenate(found), targets, VALIDATION_K) if found else np.zeros(0)
    return float(np.nanmean(ranks.joined_rows(recalls)))


def _dropout_of(rank: int) -> str:
    """Prefix of the states of a process's dropout."""
    return f"dropout_of_{rank}" if rank else "dropout"
