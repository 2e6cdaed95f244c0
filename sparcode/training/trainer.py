"""`Trainer` trains one epoch at a time; `fit` loops, validates and keeps the best checkpoint."""

from __future__ import annotations

import copy
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
from sparcode.model.query_batch import QueryBatch, query_blocks
from sparcode.model.trainable import TrainableModel
from sparcode.retrieval.top_k import top_k
from sparcode.training.checkpoint import StageCheckpoint, State
from sparcode.training.epoch_record import EpochRecord, OnEpoch, ShouldStop, ignore_record, never_stop
from sparcode.training.losses import corrected_softmax_loss, distilled_softmax_loss, sampled_softmax_loss, softmax_loss
from sparcode.training.negatives import NegativeSampler
from sparcode.training.row_steps import gradient_norms, optimizers
from sparcode.training.teachers import Teacher
from sparcode.training.time_limit import TimeLimit

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
        seed_dropout(model, config.seed)
        is_sampled = 0 < config.n_negatives < histories.n_items
        self._optimizers = optimizers(model, config, by_rows=is_sampled and config.embedding_steps == "touched")
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
            if should_stop():
                stopped = True
                break
            self._set_position(self.epoch - 1 + number / len(batches))
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
        """What later epochs depend on, beside data and settings: weights, optimizer, random generators and the epoch."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for prefix, optimizer in zip(_OPTIMIZERS, self._optimizers, strict=False):
            for place, entry in optimizer.state_dict()["state"].items():
                tensors |= {f"{prefix}.{place}.{name}": value for name, value in entry.items()}
        tensors |= {f"dropout.{name}": value for name, value in dropout_states(self.model).items()}
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
        restore_dropout(self.model, state.part("dropout"))
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
            yield order[start : start + self.config.batch_size]

    def _train_batch(self, histories: Histories) -> tuple[float, float, int]:
        shown = self._shown(histories)
        queries = QueryBatch.from_histories(histories.select(shown), self._device)
        targets = histories.select(~shown) if self.config.target == "hidden" else histories
        loss, commit = self._loss(queries, targets, histories)
        self._check_finite("loss", loss + commit)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        (loss + commit).backward()
        self._check_finite("gradient's norm", gradient_norms(self.model).sum())
        for optimizer in self._optimizers:
            optimizer.step()
        revived = self.model.after_step(queries, self._generator)
        return float(loss.detach()), float(commit.detach()), revived

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
        rows = self._tensor(targets.rows)
        n_items, n_negatives, weights = targets.n_items, self.config.n_negatives, self._weights(targets)
        if not 0 < n_negatives < n_items:
            logits, commit = self.model(queries)
            columns = self._tensor(targets.items)
            if self._teacher is None:
                return softmax_loss(logits, rows, columns, weights), commit
            soft_targets = self._teacher.soft_targets(queries, histories)
            return distilled_softmax_loss(logits, rows, columns, soft_targets, self.config.teacher_weight, weights), commit
        if self._sampler is not None:
            drawn = self._sampler.draw(targets, self._rng)
            logits, commit = self.model(queries, self._tensor(drawn.items))
            log_weights = torch.from_numpy(drawn.log_weights).to(self._device)
            return corrected_softmax_loss(logits, rows, self._tensor(drawn.columns), log_weights, weights), commit
        distinct, columns = np.unique(targets.items, return_inverse=True)
        negatives = self._rng.integers(n_items, size=n_negatives)
        logits, commit = self.model(queries, self._tensor(np.concatenate([negatives, distinct])))
        return sampled_softmax_loss(logits, rows, self._tensor(columns + n_negatives), n_negatives, n_items, weights), commit

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
    """Mean recall at `DEFAULT_K` over validation users, by scoring every item that serving can return."""
    found = []
    for block in query_blocks(validation.queries):
        scores = model.servable_scores(block)
        if np.isnan(scores).any():
            raise DivergenceError("the model's scores are no longer numbers; try a smaller learning rate or a larger batch")
        found.append(top_k(scores, VALIDATION_K, block).item_ids)
    return float(np.nanmean(recall_at_k(np.concatenate(found), validation.targets, VALIDATION_K)))


class _Best:
    """The best epoch so far and its weights; before the first one there are none."""

    def __init__(self) -> None:
        self.recall, self.epoch = -1.0, 0
        self.weights: dict[str, Tensor] | None = None

    def see(self, record: EpochRecord, model: TrainableModel) -> None:
        """Take an epoch, with the model as it left it, if it is better."""
        if record.recall > self.recall:
            self.recall, self.epoch, self.weights = record.recall, record.epoch, copy.deepcopy(model.state_dict())


def fit(
    trainer: Trainer,
    validation: EvaluationSet,
    on_epoch: OnEpoch = ignore_record,
    should_stop: ShouldStop = never_stop,
    checkpoint: StageCheckpoint | None = None,
    limit: TimeLimit | None = None,
) -> list[EpochRecord]:
    """Train up to the trainer's epochs and leave the model at its best checkpoint by validation recall.

    Where the start is a checkpoint (a SparCode model's preview) its record, epoch 0, comes first. Training stops after `patience` epochs
    without a better one, or when `should_stop`, asked between batches, says so.

    `checkpoint` receives the state after every whole epoch. If it holds one, training goes on from there: `on_epoch` is told the epochs so
    far, and model and records end up as without the interruption.

    A `limit` cuts the epochs to those that fit, so that the step size falls to its end within them, and ends training once it is over.

    `DivergenceError` if the loss, a gradient or the scores are not finite; the model is left at the best epoch so far. ValueError if the
    checkpoint is of another training.
    """
    model, config, best = trainer.model, trainer.config, _Best()
    records, finished = _resume(trainer, best, None if checkpoint is None else checkpoint.load())
    limit, before, wanted = limit or TimeLimit(), trainer.epoch, trainer.total_epochs

    def should_end() -> bool:
        return limit.is_over() or should_stop()

    try:
        for record in records:
            on_epoch(record)
        while not finished:
            record = trainer.initial_record() if model.start_is_checkpoint and not records else trainer.train_epoch(should_end)
            model.before_validation(trainer.queries, config)
            record = record._replace(recall=validation_recall(model, validation))
            records.append(record)
            best.see(record, model)
            finished = trainer.epoch >= wanted or record.epoch - best.epoch >= config.patience
            if checkpoint is not None and not record.stopped:
                checkpoint.save(_state(trainer, best, records, finished))
            on_epoch(record)
            if trainer.epoch > before:
                trainer.total_epochs = before + limit.epochs_in_all(trainer.epoch - before, wanted - before)
            if record.stopped or should_end() or trainer.epoch >= trainer.total_epochs:
                limit.ended_training = not finished and (limit.is_over() or trainer.epoch >= trainer.total_epochs)
                if limit.ended_training and checkpoint is not None:
                    # What follows starts from this model, also after a stop.
                    checkpoint.save(_state(trainer, best, records, finished=True))
                break
    finally:
        # Also when training fails or the caller breaks off: the model is left at the best epoch that was measured.
        if best.weights is not None:
            model.load_state_dict(best.weights)
        model.eval()
    return records


def _state(trainer: Trainer, best: _Best, records: list[EpochRecord], finished: bool) -> State:
    """The trainer's state with the best weights, where they are not the last ones; of a finished training the best weights alone."""
    tensors, values = trainer.state()
    kept = {f"best.{name}": value for name, value in (best.weights or {}).items()}
    if finished and kept:
        tensors = kept
    elif best.epoch != trainer.epoch:
        tensors = tensors | kept
    return State(tensors, {**values, "records": [list(record) for record in records], "finished": finished})


def _resume(trainer: Trainer, best: _Best, state: State | None) -> tuple[list[EpochRecord], bool]:
    """Go back to a state of `_state`; returns its records, and whether the training was finished."""
    if state is None:
        return [], trainer.epoch > trainer.total_epochs
    try:
        records, finished, kept = [EpochRecord(*row) for row in state.values["records"]], bool(state.values["finished"]), state.part("best")
        if not (finished and kept):
            trainer.restore(state)
        for record in records:
            if record.recall > best.recall:
                best.recall, best.epoch = record.recall, record.epoch
        if best.recall >= 0:
            best.weights = kept or copy.deepcopy(trainer.model.state_dict())
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"the checkpoint does not fit this training: {error}") from error
    return records, finished
