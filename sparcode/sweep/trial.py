"""One trial of a sweep: a setting trained on the training users, measured on the validation users over all thresholds, kept as a run."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import torch

from sparcode.comparison.peers import SPARCODE
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split
from sparcode.device import choose_device
from sparcode.index.inverted_index import BuildStopped, InvertedIndex
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.machine import machine_facts
from sparcode.runs.sources import BACKBONE, HISTORIES
from sparcode.runs.store import Run, save_run
from sparcode.sweep.backbones import BackboneStopped, backbone_path, shared_backbone
from sparcode.sweep.curve import threshold_curve
from sparcode.sweep.data import DATA, load_data
from sparcode.sweep.definition import Definition, read_definition
from sparcode.sweep.events import EventLog
from sparcode.sweep.journal import Hopeless
from sparcode.sweep.record import RUNS, CurvePoint, Epoch, TrialRecord, run_name, write_record
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.session import Watch
from sparcode.sweep.space import config_of
from sparcode.training.epoch_record import EpochRecord
from sparcode.training.list_fit import fit_lists
from sparcode.training.pair_fit import fit_pairs
from sparcode.training.pipeline import build_run_index, check_settings_act, fine_tune, preview, with_idle_reset

_WITH_USERS: Final = ("users", "both")


class _Abandoned(Exception):
    """The sweep's session is over: nobody waits for this trial."""


class _Pruned(Exception):
    """The trial is not worth going on with."""


class _Made(NamedTuple):
    """What a trial trained; `n_backbone` of the records are the backbone's."""

    model: SparCodeModel
    index: InvertedIndex
    records: list[EpochRecord]


def run_trial(request: TrialRequest) -> bool:
    """Run a trial and write its record into the sweep's folder; false if it was abandoned, and wrote none.

    A trial that fails has a record that says so. ValueError if the worker cannot use the sweep's folder or its data at all.
    """
    folder = Path(request.folder)
    definition = read_definition(folder)
    if definition.identity != request.identity:
        raise ValueError(f"{folder} holds another sweep where this worker looks; the folder must be the same for all workers")
    data, split = _loaded(folder, request.identity)
    if request.threads:
        torch.set_num_threads(request.threads)
    trial = _Trial(request, folder, definition, data, split)
    started = time.perf_counter()
    try:
        record = trial.run()
    except (_Abandoned, BackboneStopped, BuildStopped):
        return False
    except _Pruned:
        record = trial.record("pruned")
    except Exception as error:  # whatever it is, the other trials go on
        words = " ".join(str(error).split()) or type(error).__name__
        known = isinstance(error, ValueError | RuntimeError | OSError | MemoryError)
        record = trial.record("failed", error=words if known else f"{type(error).__name__}: {words}")
    if trial.is_over():
        return False
    write_record(folder, record.model_copy(update={"seconds": time.perf_counter() - started}))
    return True


@lru_cache(maxsize=1)
def _loaded(folder: Path, identity: str) -> tuple[Interactions, Split]:
    """The data, once per process."""
    return load_data(folder, read_definition(folder))


class _Trial:
    """A trial under way."""

    def __init__(self, request: TrialRequest, folder: Path, definition: Definition, data: Interactions, split: Split) -> None:
        self._request, self._folder, self._definition, self._data, self._split = request, folder, definition, data, split
        self.is_over = Watch(folder, request.session).is_over
        self._events = EventLog(folder, request.number, request.session, request.params)
        self._config: RunConfig | None = None
        self._epochs: list[Epoch] = []
        self._backbone_seconds = 0.0

    def run(self) -> TrialRecord:
        """Train, measure and keep; the record of a complete trial."""
        config = config_of(self._definition.config, self._request.params)
        varying = {name.partition(".")[2] for name in self._request.params if name.startswith("training.")}
        self._config = config = with_idle_reset(self._split, config, varying)
        check_settings_act(self._split, config.training)
        started = time.perf_counter()
        backbone, before = self._backbone(config)
        self._backbone_seconds = time.perf_counter() - started
        model, records = self._tuned(backbone, config)
        self._events.write("measuring")
        index = build_run_index(model, self._split.train, config.index, self.is_over)
        curve = threshold_curve(model, index, self._split.validation, config, self._definition.k, self._check)
        self._keep(_Made(model, index, [*before, *records]), config, curve)
        return self.record("complete", curve=curve, run=run_name(self._request.number))

    def record(self, state: str, **more: object) -> TrialRecord:
        """The record of the trial as far as it came."""
        return TrialRecord(
            number=self._request.number,
            state=state,
            params=self._request.params,
            config={} if self._config is None else self._config.model_dump(mode="json"),
            epochs=tuple(self._epochs),
            backbone_seconds=self._backbone_seconds,
            machine=machine_facts(choose_device(self._request.device)),
            **more,
        )

    def _check(self) -> None:
        if self.is_over():
            raise _Abandoned

    def _backbone(self, config: RunConfig) -> tuple[AllToAllModel, list[EpochRecord]]:
        facts, epochs = self._definition.data.facts, config.training.epochs
        return shared_backbone(
            self._folder,
            self._split,
            config,
            facts,
            self._request.device,
            lambda: self._events.write("waiting"),
            lambda record: self._events.write("backbone", record.epoch, epochs, _number(record.recall)),
            self.is_over,
        )

    def _tuned(self, backbone: AllToAllModel, config: RunConfig) -> tuple[SparCodeModel, list[EpochRecord]]:
        """SparCode on the backbone, and its joint epochs; _Pruned once they are hopeless."""
        self._events.write("codes")
        model = preview(backbone, self._split, config)
        hopeless, recalls = Hopeless(self._folder, self._definition), {}

        def on_epoch(record: EpochRecord) -> None:
            if record.stopped or math.isnan(record.recall):
                return
            recalls[record.epoch] = record.recall
            self._epochs.append(Epoch(epoch=record.epoch, recall=record.recall))
            self._events.write("joint", record.epoch, config.training.joint_epochs, record.recall)
            if hopeless.after(recalls):
                raise _Pruned

        records = fine_tune(model, self._split, config, on_epoch, self.is_over)
        self._check()
        for fit in (fit_pairs, fit_lists):
            fit(model, self._split, config, self.is_over)
            self._check()
        return model, records

    def _keep(self, made: _Made, config: RunConfig, curve: tuple[CurvePoint, ...]) -> None:
        """Save the trial as a run, with its data and backbone beside it where the sweep has them."""
        own = next(point for point in curve if point.is_own)
        row = {
            "name": SPARCODE,
            "kind": "trial of a sweep, measured on validation users",
            "threshold": own.threshold,
            "k": self._definition.k,
            "recall": own.recall,
            "ndcg": own.ndcg,
            "p50_ms": own.p50_ms,
            "size_bytes": own.size_bytes,
        }
        facts, data = self._definition.data.facts, self._data
        seen = self._split.user_encoding if config.model.side_features in _WITH_USERS else None
        machine = machine_facts(choose_device(self._request.device))
        item_ids = [str(item_id) for item_id in data.item_ids]
        run = Run(config, facts, made.model, made.index, item_ids, data.items, made.records, [row], machine, seen)
        runs = self._folder / RUNS
        runs.mkdir(exist_ok=True)
        save_run(run, runs / run_name(self._request.number), overwrite=True, beside=self._beside(config))

    def _beside(self, config: RunConfig) -> Callable[[Path], None]:
        """Puts the sweep's own files of data and backbone beside a run."""

        def link(new: Path) -> None:
            if self._definition.data.is_kept:
                _link(self._folder / DATA / HISTORIES, new / HISTORIES)
                _link(backbone_path(self._folder, config), new / BACKBONE)

        return link


def _link(source: Path, target: Path) -> None:
    """One file under two names, so that runs which share it take no room for it; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
