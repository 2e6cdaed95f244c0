"""Checkpoints: the state of every stage of a training on disk after each epoch, from which it goes on as if it had never stopped.

A stage is one safetensors file, replaced as a whole, so that a process killed while it writes leaves the state before. What is no tensor
stands as JSON in the file's header. Nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from sparcode.config import RunConfig

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
_HEADER = "checkpoint"
_SUFFIX, _UNFINISHED = ".safetensors", ".new"


class State(NamedTuple):
    """All that the rest of a stage depends on, beside settings and data: `tensors` by name, and `values` that JSON can hold."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with a prefix and a dot, by the rest of their names."""
        return {name.removeprefix(f"{prefix}."): value for name, value in self.tensors.items() if name.startswith(f"{prefix}.")}


class Beginning(NamedTuple):
    """What a training began with; another one must not go on from its checkpoint.

    Attributes
    ----------
    data
        Name for messages.
    data_hash
        See `sparcode.data.split.Split.content_hash`.
    device
        ``cpu`` or ``cuda``: they round differently.
    processes
        That trained together (`sparcode.model.ranks`).
    """

    config: RunConfig
    data: str
    data_hash: str
    device: str
    processes: int = 1


class Checkpoint:
    """The states of one training's stages in a folder, which no other process may write to (`sparcode.index.whole_folder.reserved`).

    ValueError if the folder holds a checkpoint that is damaged or of a training with another `Beginning`; names what differs.
    """

    def __init__(self, folder: Path, beginning: Beginning) -> None:
        self._folder, self._beginning, self._warned = folder, beginning, False
        _remove_unfinished(folder)
        for path in stage_files(folder):
            self._check(path)

    def load(self, stage: str) -> State | None:
        """The stage's last state, on the CPU; None if it has none. ValueError if it is damaged."""
        path = self._path(stage)
        if not path.exists():
            return None
        values = _read_header(path)["values"]
        try:
            return State(safetensors.torch.load_file(path), values)
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from error

    def save(self, stage: str, state: State) -> None:
        """Replace the stage's state. A disk that is full does not end the training: the state before stays, with one warning."""
        path = self._path(stage)
        new = path.with_suffix(_UNFINISHED)
        begun = self._beginning._replace(config=self._beginning.config.model_dump(mode="json"))._asdict()
        header = {"format_version": FORMAT_VERSION, "begun": begun, "values": state.values}
        try:
            tensors = {name: value.contiguous() for name, value in state.tensors.items()}
            safetensors.torch.save_file(tensors, new, {_HEADER: json.dumps(header)})
            with new.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(new, path)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                new.unlink()
            if not self._warned:
                logger.warning("%s cannot be written, so an interrupted training will go on from an earlier epoch: %s", path, error)
            self._warned = True

    def remove(self) -> None:
        """Remove all states."""
        remove_states(self._folder)

    def _path(self, stage: str) -> Path:
        return self._folder / f"{stage}{_SUFFIX}"

    def _check(self, path: Path) -> None:
        before, now = beginning_of(path), self._beginning
        pairs = [(getattr(before.config, name), getattr(now.config, name)) for name in RunConfig.model_fields]
        changed = [
            f"{field}={getattr(was, field)} (now {getattr(new, field)})"
            for was, new in pairs
            for field in type(was).model_fields
            if getattr(was, field) != getattr(new, field)
        ]
        if before.device != now.device:
            changed.append(f"device {before.device} (now {now.device})")
        if before.processes != now.processes:
            changed.append(f"{before.processes} process{'es' if before.processes > 1 else ''} (now {now.processes})")
        if before.data_hash != now.data_hash:
            changed.append(f"other data, {before.data!r} (now {now.data!r})")
        if changed:
            raise ValueError(
                f"the training that was stopped began with {', '.join(changed)}; give the same, or start anew with --overwrite"
            )


class StageCheckpoint:
    """One stage of a `Checkpoint`, or of none, which keeps nothing.

    Attributes
    ----------
    seconds_before
        Time the stage took in processes before this one, as far as it was kept.
    """

    def __init__(self, checkpoint: Checkpoint | None, stage: str) -> None:
        self._checkpoint, self._stage = checkpoint, stage
        self._started, self.seconds_before = time.perf_counter(), 0.0

    def load(self) -> State | None:
        """As `Checkpoint.load`."""
        found = None if self._checkpoint is None else self._checkpoint.load(self._stage)
        if found is not None:
            self.seconds_before = float(found.values.pop("seconds", 0))
        return found

    def save(self, state: State) -> None:
        """As `Checkpoint.save`."""
        if self._checkpoint is not None:
            seconds = self.seconds_before + time.perf_counter() - self._started
            self._checkpoint.save(self._stage, State(state.tensors, {**state.values, "seconds": seconds}))


def stage_files(folder: Path) -> list[Path]:
    """Files of stages in a checkpoint's folder; empty where there is none."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def beginning_of(path: Path) -> Beginning:
    """What the training of a stage's file began with; ValueError if the file is damaged."""
    begun = _read_header(path)["begun"]
    try:
        return Beginning(**begun)._replace(config=RunConfig.as_written(begun["config"]))
    except (KeyError, TypeError, ValidationError) as error:
        raise _damaged(path, error) from error


def remove_states(folder: Path) -> None:
    """Remove everything in a checkpoint's folder."""
    # The stages last: without them nobody would come back for the rest.
    _remove_unfinished(folder)
    for path in stage_files(folder):
        path.unlink(missing_ok=True)


def _remove_unfinished(folder: Path) -> None:
    """Remove what a killed process was writing, which safetensors first does under a name of its own."""
    for path in {*folder.iterdir()} - {*stage_files(folder)}:
        path.unlink(missing_ok=True)


def _read_header(path: Path) -> Mapping[str, Any]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = json.loads(file.metadata()[_HEADER])
        if header["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {header['format_version']!r}; this version of sparcode reads {FORMAT_VERSION}")
        if not isinstance(header["begun"], dict) or not isinstance(header["values"], dict):
            raise ValueError("its header is none of a checkpoint")
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, error) from error
    return header


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is damaged: {error}; start anew with --overwrite")
