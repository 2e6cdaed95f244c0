"""Epochs until the best one is found: validation after each, early stopping, checkpoints, the limit on time."""

from __future__ import annotations

import copy
import json

from torch import Tensor

from sparcode.data.split import EvaluationSet
from sparcode.model.ranks import Ranks, current
from sparcode.model.trainable import TrainableModel
from sparcode.training.checkpoint import StageCheckpoint, State
from sparcode.training.epoch_record import EpochRecord, OnEpoch, ShouldStop, ignore_record, never_stop
from sparcode.training.time_limit import TimeLimit
from sparcode.training.trainer import Trainer, validation_recall


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
    model, config, best, ranks = trainer.model, trainer.config, _Best(), current()
    records, finished = _resume(trainer, best, _of_first(ranks, None if checkpoint is None else checkpoint.load()))
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
                fitting = limit.epochs_in_all(trainer.epoch - before, wanted - before)
                # The first process's clock counts.
                trainer.total_epochs = before + int(ranks.of_first(str(fitting), {})[0])
            if record.stopped or ranks.any(should_end()) or trainer.epoch >= trainer.total_epochs:
                limit.ended_training = not finished and (ranks.any(limit.is_over()) or trainer.epoch >= trainer.total_epochs)
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


def _of_first(ranks: Ranks, state: State | None) -> State | None:
    """The first process's state; the others have no checkpoint."""
    text, tensors = ranks.of_first(json.dumps(state and state.values), {} if state is None else state.tensors)
    values = json.loads(text)
    return None if values is None else State(tensors, values)


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
