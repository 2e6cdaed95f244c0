"""Runs recorded for the default data, so that a first visit shows figures at once; found by data and settings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from app.measured.recorded_figures import RecordedFigures
from app.measured.scaling import ScaleResult
from app.measured.serving import ServingResult
from app.models.trained import Backbone, Recording, Tuned
from app.recorded.figures import read_figures
from app.recorded.files import (
    ALL_STAGES,
    BACKBONE_STAGES,
    DESCRIPTION,
    TUNED_STAGES,
    BackboneEntry,
    Description,
    Entry,
    FileEntry,
    ScaleEntry,
    ServingEntry,
    TrainingEntry,
    TunedEntry,
    TwoTowerEntry,
    address,
    is_whole,
    read_description,
    read_usage,
    read_weights,
    with_nan,
)
from app.training.data import TrainingData
from app.training.plan import EarlierRun, RunPlan
from app.training.run import JOINT, EpochPoint, RunResult
from sparcode.comparison.grown_ways import LeftOut
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.training import Trained
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.device import choose_device
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel
from sparcode.training.epoch_record import EpochRecord

RECORD_AGAIN: Final = "python -m scripts.record_runs"
_RECORD, _ROW, _RESULT = (
    TypeAdapter(EpochRecord),
    TypeAdapter(Measurement, config=ConfigDict(arbitrary_types_allowed=True)),
    TypeAdapter(RunResult),
)
_SCALE_POINT, _LEFT_OUT = TypeAdapter(GrowthPoint), TypeAdapter(LeftOut)
# Its use of codewords is an array, stored in a file of its own.
_POINT = TypeAdapter(EpochPoint, config=ConfigDict(arbitrary_types_allowed=True))
_Found = TypeVar("_Found", bound=Entry)
_Read = TypeVar("_Read")


class RecordedRuns:
    """What is recorded for one data set. Safe to share between threads.

    Each look-up takes settings and returns None if nothing was recorded for them and this data, or if the record is damaged. Results carry
    their `Recording`, which the page must name: figures from `serving`, `scale` and `training` were measured there, those of models from
    `backbone` and `tuned` are measured here. `notes` has a sentence for each reason why records are not used. A `description` of None means
    nothing is recorded.
    """

    def __init__(self, folder: Path, description: Description | None, data: Interactions, notes: Sequence[str] = ()) -> None:
        self.notes = tuple(notes)
        self._folder, self._description, self._n_items = folder, description, data.n_items
        self._data_hash = "" if description is None else description.data_hash
        self._dropped: set[str] = set()
        self._figures: dict[str, RecordedFigures] = {}
        self._lock = threading.Lock()

    @classmethod
    def nothing(cls, data: Interactions, note: str = "") -> RecordedRuns:
        """No records, for a data set that has none."""
        return cls(Path(), None, data, (note,) if note else ())

    @classmethod
    def opened(cls, folder: Path, data: Interactions, config: RunConfig) -> RecordedRuns:
        """Records of a folder, which may be missing, for a data set; records that lack the studio's own settings are out of date.

        Records of other data are ignored, with a note only if the data's name is the recorded one.
        """
        if not (folder / DESCRIPTION).is_file():
            return cls.nothing(data)
        try:
            description = read_description(folder)
        except ValueError as error:
            return cls.nothing(data, _unused(str(error)) if data.synthetic else "")
        if description.data.get("name") != data.name:
            return cls.nothing(data)
        if description.data_hash != data.content_hash():
            return cls.nothing(data, _unused("they were made from other data of this name"))
        recorded = cls(folder, description, data)
        recorded._check_files()
        if recorded._entry(description.backbones, config, BACKBONE_STAGES) is None and not recorded.notes:
            return cls.nothing(data, _unused("they were made with other settings"))
        return recorded

    @property
    def recording(self) -> Recording | None:
        """When and where; None where nothing is recorded."""
        return None if self._description is None else Recording(self._description.day, self._description.machine)

    def backbone(self, config: RunConfig) -> Backbone | None:
        """The recorded backbone of a setting."""
        return self._found("backbones", config, BACKBONE_STAGES, lambda entry: self._backbone(entry, config))

    def tuned(self, config: RunConfig) -> Tuned | None:
        """The recorded fine-tuned model of a setting."""
        return self._found("tuned", config, TUNED_STAGES, lambda entry: self._tuned(entry, config))

    def tuned_configs(self) -> list[RunConfig]:
        """The settings whose fine-tuned models are recorded and whole, in the order of recording."""
        entries = () if self._description is None else self._description.tuned
        found = []
        for entry in entries:
            with suppress(ValidationError):
                config = RunConfig.as_written(entry.config)
                if self._entry([entry], config, TUNED_STAGES) is entry:
                    found.append(config)
        return found

    def serving(self, config: RunConfig) -> ServingResult | None:
        """The recorded measurement of a setting's index beside its peers, with the times of the recording's machine."""
        return self._found("servings", config, ALL_STAGES, lambda entry: self._serving(entry, config))

    def two_tower(self, config: RunConfig) -> Trained | None:
        """The recorded two-tower model of a setting's networks and training."""
        return self._found("two_towers", config, BACKBONE_STAGES, lambda entry: self._two_tower(entry, config))

    def scale(self, config: RunConfig) -> ScaleResult | None:
        """The recorded measurement of a setting on growing catalogues, with the times of the recording's machine."""
        return self._found("scales", config, ALL_STAGES, _scale)

    def figures(self, config: RunConfig) -> RecordedFigures | None:
        """The recorded figures of a setting, else those of other M, K and P on the same backbone; their `config` tells which."""
        if self._description is None:
            return None
        backbone = address(self._data_hash, config, BACKBONE_STAGES)
        entries = [entry for entry in self._description.figures if entry.backbone == backbone and entry.address not in self._dropped]
        if not entries:
            return None
        entry = self._entry(entries, config, ALL_STAGES) or entries[0]
        if entry.address not in self._figures:
            # Read once: a page asks for it with every look.
            found = self._read(entry, lambda given: read_figures(given, config))
            if found is None:
                return None
            self._figures[entry.address] = found
        return self._figures[entry.address]

    def training(self, config: RunConfig, data: TrainingData) -> EarlierRun | None:
        """The recorded training from scratch of a setting on the studio's data."""
        return self._found("trainings", config, ALL_STAGES, lambda entry: self._training(entry, config, data))

    def _found(self, kind: str, config: RunConfig, sections: Sequence[str], read: Callable[[_Found], _Read]) -> _Read | None:
        if self._description is None:
            return None
        entry = self._entry(getattr(self._description, kind), config, sections)
        return None if entry is None else self._read(entry, read)

    def _read(self, entry: _Found, read: Callable[[_Found], _Read]) -> _Read | None:
        try:
            return read(entry)
        except (ValueError, ValidationError, KeyError, TypeError) as error:
            self._drop(entry, str(error).splitlines()[0])
            return None

    def _entry(self, entries: Sequence[_Found], config: RunConfig, sections: Sequence[str]) -> _Found | None:
        wanted = address(self._data_hash, config, sections)
        return next((entry for entry in entries if entry.address == wanted and wanted not in self._dropped), None)

    def _drop(self, entry: Entry, problem: str) -> None:
        with self._lock:
            if entry.address not in self._dropped:
                self._dropped.add(entry.address)
                self.notes = (
                    *self.notes,
                    f"A recorded run is not used, it is trained here instead: {problem}. Record again: `{RECORD_AGAIN}`",
                )

    def _check_files(self) -> None:
        described = self._description
        for entry in (*described.backbones, *described.tuned, *described.two_towers, *described.trainings):
            file: FileEntry = entry.usage if isinstance(entry, TrainingEntry) else entry.weights
            if not is_whole(self._folder, file):
                self._drop(entry, f"{file.name} is missing or damaged")

    def _backbone(self, entry: BackboneEntry, config: RunConfig) -> Backbone:
        model = AllToAllModel(self._n_items, config.model, config.training.dropout)
        read_weights(model, self._folder, entry.weights)
        return Backbone(model.to(choose_device()), _records(entry.records), entry.recall, entry.ndcg, entry.seconds, self.recording)

    def _tuned(self, entry: TunedEntry, config: RunConfig) -> Tuned:
        model = SparCodeModel(AllToAllModel(self._n_items, config.model, config.training.dropout), config.quantizer)
        read_weights(model, self._folder, entry.weights)
        return Tuned(model.to(choose_device()), _records(entry.records), entry.seconds, False, self.recording)

    def _two_tower(self, entry: TwoTowerEntry, config: RunConfig) -> Trained:
        model = TwoTowerModel(self._n_items, config.model, config.training.dropout)
        read_weights(model, self._folder, entry.weights)
        return Trained(model, entry.seconds, _records(entry.records), self.recording.words)

    def _serving(self, entry: ServingEntry, config: RunConfig) -> ServingResult:
        points = tuple(_serving_point(row) for row in entry.points)
        if not points:
            raise ValueError(f"{DESCRIPTION} holds a measurement without points")
        facts = entry.facts
        # It may be newer than the rest of the recording.
        recording = Recording(facts.measured_at[:10], facts.machine)
        return ServingResult(points, tuple(entry.left_out), config, "recorded", recording=recording, **facts.model_dump())

    def _training(self, entry: TrainingEntry, config: RunConfig, data: TrainingData) -> EarlierRun:
        points = [_POINT.validate_python({**with_nan(row), "usage": None}) for row in entry.points]
        coded = [at for at, point in enumerate(points) if point.stage == JOINT]
        for at, usage in zip(coded, read_usage(self._folder, entry.usage, len(coded)), strict=True):
            points[at] = points[at]._replace(usage=usage)
        result = _RESULT.validate_python(with_nan(entry.result))
        return EarlierRun(RunPlan(0, data, config, result.two_tower == result.two_tower, self.recording), tuple(points), result)


def _scale(entry: ScaleEntry) -> ScaleResult:
    points = tuple(_SCALE_POINT.validate_python(with_nan(row)) for row in entry.points)
    if not points:
        raise ValueError(f"{DESCRIPTION} holds a measurement on growing catalogues without points")
    left_out = tuple(_LEFT_OUT.validate_python(with_nan(row)) for row in entry.left_out)
    recording = Recording(entry.facts.measured_at[:10], entry.facts.machine)
    facts = with_nan(entry.facts.model_dump())
    return ScaleResult(points, left_out, dict(entry.seconds), kind="recorded", recording=recording, **facts)


def _serving_point(row: dict[str, Any]) -> Measurement:
    recall = np.array(row["recall_by_query"], dtype=np.float64)
    recall.setflags(write=False)
    return _ROW.validate_python({**with_nan(row), "recall_by_query": recall})


def _records(rows: Sequence[dict]) -> tuple[EpochRecord, ...]:
    return tuple(_RECORD.validate_python(with_nan(row)) for row in rows)


def _unused(reason: str) -> str:
    return f"The recorded runs are not used, models are trained here instead: {reason}. Record again: `{RECORD_AGAIN}`"
