"""The files of recorded runs: a JSON description, weights as safetensors in half precision, code usage as npy; no pickles.

Every entry carries an address, a hash of its data and settings, so that it is found for these only.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import nn

from sparcode.config import RunConfig

DESCRIPTION: Final = "recorded.json"
RECORDED_VERSION: Final = 1
# The recording is part of the repository.
MAX_RECORDED_BYTES: Final = 6_000_000
# The sections that determine the weights of a backbone, those of a fine-tuned model, and all figures.
BACKBONE_STAGES: Final = ("split", "model", "training")
TUNED_STAGES: Final = (*BACKBONE_STAGES, "quantizer")
ALL_STAGES: Final = (*TUNED_STAGES, "index")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileEntry(_Part):
    """A file beside the description: its name, and the SHA-256 of its bytes."""

    name: str = Field(pattern=r"^[a-z0-9-]+\.(safetensors|npy)$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Entry(_Part):
    """What every record has: its address, and its settings for human readers."""

    address: str
    config: dict[str, Any]


class BackboneEntry(Entry):
    """A trained all-to-all model; see `app.models.trained.Backbone`."""

    weights: FileEntry
    records: list[dict[str, Any]]
    recall: float
    ndcg: float
    seconds: float = Field(ge=0)


class TunedEntry(Entry):
    """A fine-tuned SparCode model; see `app.models.trained.Tuned`."""

    weights: FileEntry
    records: list[dict[str, Any]]
    seconds: float = Field(ge=0)


class ServingFacts(_Part):
    """What the figures of a measurement depend on; see `app.measured.serving.ServingResult`."""

    n_epochs: int
    cut_short: bool
    data_name: str
    n_queries: int
    machine: str
    measured_at: str
    seconds: float
    n_items: int


class ServingEntry(Entry):
    """SparCode's index beside its peers at several settings; `points` hold the recall of every test user, None where one has no target."""

    points: list[dict[str, Any]]
    left_out: list[str]
    facts: ServingFacts


class TwoTowerEntry(TunedEntry):
    """A trained two-tower model."""


class ScaleFacts(_Part):
    """What the figures on growing catalogues depend on; see `app.measured.scaling.ScaleResult`. `load` is None where it is unknown."""

    n_items: int
    n_lists: int
    data_name: str
    machine: str
    measured_at: str
    load: float | None = Field(None, ge=0)


class ScaleEntry(Entry):
    """Every way to serve on growing catalogues; `seconds` are pairs of a size and what it took."""

    points: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    seconds: list[tuple[int, float]]
    facts: ScaleFacts


class FiguresFacts(_Part):
    """What recorded figures depend on; see `app.measured.recorded_figures.RecordedFigures`."""

    k: int = Field(ge=1)
    n_queries: int = Field(ge=1)
    n_epochs: int = Field(ge=0)
    backbone_epochs: int = Field(ge=0)
    seconds: float = Field(ge=0)
    backbone_seconds: float = Field(ge=0)
    backbone_recall: float
    machine: str
    day: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")


class FiguresEntry(Entry):
    """The figures of one setting at every threshold, without its model.

    `backbone` is the address of the model behind it; `curve` has the columns of `app.measured.curve.Curve` but the lengths; `latencies` are
    pairs of a stop and its latency.
    """

    backbone: str
    curve: dict[str, list[float | None]]
    usage: dict[str, Any]
    latencies: list[tuple[int, dict[str, Any]]]
    facts: FiguresFacts


class TrainingEntry(Entry):
    """A training from scratch; see `app.training.plan.EarlierRun`. `usage` holds one frame per epoch with codes."""

    points: list[dict[str, Any]]
    usage: FileEntry
    result: dict[str, Any]


class Description(_Part):
    """What is recorded, when, where and from which data."""

    format_version: int
    day: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    machine: str
    versions: dict[str, str]
    data: dict[str, Any]
    data_hash: str
    backbones: list[BackboneEntry]
    tuned: list[TunedEntry]
    # No longer made or read; earlier recordings have some.
    comparisons: list[dict[str, Any]] = []
    trainings: list[TrainingEntry]
    servings: list[ServingEntry] = []
    two_towers: list[TwoTowerEntry] = []
    scales: list[ScaleEntry] = []
    figures: list[FiguresEntry] = []


def address(data_hash: str, config: RunConfig, sections: Sequence[str]) -> str:
    """Hash of the data and of these sections of the settings, 16 hexadecimal digits."""
    hashes = [str(RECORDED_VERSION), data_hash, *(getattr(config, section).content_hash() for section in sections)]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]


def plain(value: Any) -> Any:
    """A named tuple, or a sequence of them, for JSON: names -> values, without NaN."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def with_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its NaN restored, which JSON does not have; the inverse of `plain`."""
    return {name: math.nan if value is None else value for name, value in row.items()}


def in_half_precision(model: nn.Module) -> nn.Module:
    """A copy of a model with weights rounded to the files' precision, so that figures measured now are those of the model read later."""
    rounded = copy.deepcopy(model)
    rounded.load_state_dict(
        {name: value.half().float() if value.dtype == torch.float32 else value for name, value in _state(model).items()}
    )
    return rounded.eval()


def write_weights(model: nn.Module, folder: Path, name: str) -> FileEntry:
    """Write the weights of a model from `in_half_precision`; `name` has no extension."""
    weights = {name: value.half() if value.dtype == torch.float32 else value for name, value in _state(model).items()}
    file = folder / f"{name}.safetensors"
    safetensors.torch.save_file({name: value.contiguous() for name, value in weights.items()}, file)
    return _entry(file)


def read_weights(model: nn.Module, folder: Path, file: FileEntry) -> None:
    """Read weights into a model, in place, and put it into evaluation mode.

    ValueError names a file that is damaged or does not fit the model.
    """
    path = folder / file.name
    try:
        stored = safetensors.torch.load(path.read_bytes())
        weights = {name: value.float() if value.dtype == torch.float16 else value for name, value in stored.items()}
        model.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise ValueError(f"{file.name} is damaged or does not fit the settings: {str(error).splitlines()[0]}") from error
    if bad := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        raise ValueError(f"{file.name} holds numbers that are not finite in {bad[0]}")
    model.eval()


def write_usage(frames: Sequence[np.ndarray], folder: Path, name: str) -> FileEntry:
    """Write (M, W) frames of code usage as one (n, M, W) float16 array."""
    file = folder / f"{name}.npy"
    np.save(file, np.stack(frames).astype(np.float16), allow_pickle=False)
    return _entry(file)


def read_usage(folder: Path, file: FileEntry, n_frames: int) -> list[np.ndarray]:
    """Frames of code usage, (M, W) float32 each; ValueError names a file that is damaged or does not hold `n_frames` frames."""
    try:
        frames = np.load(folder / file.name, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{file.name} is damaged: {error}") from error
    if frames.dtype != np.float16 or frames.ndim != 3 or len(frames) != n_frames or not np.isfinite(frames).all():
        raise ValueError(f"{file.name} must hold {n_frames} frames of finite float16 numbers; got {frames.dtype} of shape {frames.shape}")
    return list(frames.astype(np.float32))


def read_description(folder: Path) -> Description:
    """Read and check the description; ValueError if it is missing, damaged or of another version."""
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{DESCRIPTION} cannot be read as JSON: {error}") from error
    version = content.get("format_version") if isinstance(content, dict) else None
    if version != RECORDED_VERSION:
        raise ValueError(f"{DESCRIPTION} has format version {version!r}; this version of the studio reads {RECORDED_VERSION}")
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{DESCRIPTION} is damaged at {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def is_whole(folder: Path, file: FileEntry) -> bool:
    """Whether a file exists and is unchanged."""
    try:
        return hashlib.sha256((folder / file.name).read_bytes()).hexdigest() == file.sha256
    except OSError:
        return False


def write_folder(description: Description, files: Path, folder: Path) -> int:
    """Add the description to files already written, replace an earlier recording at `folder` by them, and return the bytes written.

    `files` is a temporary sibling of `folder` and is moved. ValueError if `folder` holds anything but a recording, or the whole is larger
    than `MAX_RECORDED_BYTES`.
    """
    text = json.dumps(description.model_dump(mode="json"), separators=(",", ":"), allow_nan=False)
    (files / DESCRIPTION).write_text(text, encoding="utf-8")
    size = sum(file.stat().st_size for file in files.iterdir())
    if size > MAX_RECORDED_BYTES:
        raise ValueError(f"recorded runs take {size:,} bytes; at most {MAX_RECORDED_BYTES:,} are allowed, so record fewer settings")
    if folder.exists() and any(folder.iterdir()) and not (folder / DESCRIPTION).is_file():
        raise ValueError(f"{folder} holds something else than recorded runs and is left alone")
    files.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        if folder.exists():
            os.replace(folder, Path(aside) / "earlier")
        os.replace(files, folder)
    return size


def _entry(file: Path) -> FileEntry:
    return FileEntry(name=file.name, sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}
