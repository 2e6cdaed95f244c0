"""One backbone for all trials that share it: trained by whichever comes first, kept in the sweep's folder; the others wait for it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sparcode.config import RunConfig
from sparcode.data.facts import DataFacts
from sparcode.data.split import Split
from sparcode.device import Device, choose_device
from sparcode.model.all_to_all import AllToAllModel
from sparcode.runs.sources import read_backbone, write_backbone
from sparcode.training.epoch_record import EpochRecord, OnEpoch, ShouldStop
from sparcode.training.pipeline import train_backbone

BACKBONES: Final = "backbones"
# Fields that only what is made from a backbone knows.
_LATER: Final = {
    "model": ("pair_features", "item_lists"),
    "training": ("joint_epochs", "joint_learning_rate", "codebook_learning_rate", "joint_teacher", "density"),
}
_LOOK_SECONDS: Final = 0.2


class BackboneStopped(Exception):
    """The backbone is not wanted any more."""


def backbone_key(config: RunConfig) -> str:
    """Name of a setting's backbone; settings that differ only in quantizer, index or joint training share it."""
    usual = RunConfig()
    parts = {stage: getattr(config, stage) for stage in ("split", "model", "training")}
    for stage, fields in _LATER.items():
        parts[stage] = parts[stage].model_copy(update={name: getattr(getattr(usual, stage), name) for name in fields})
    return hashlib.sha256(" ".join(part.content_hash() for part in parts.values()).encode()).hexdigest()[:16]


def backbone_path(folder: Path, config: RunConfig) -> Path:
    """Where a setting's backbone is kept in a sweep's folder."""
    return folder / BACKBONES / f"{backbone_key(config)}.safetensors"


def shared_backbone(
    folder: Path,
    split: Split,
    config: RunConfig,
    facts: DataFacts,
    device: Device,
    on_wait: Callable[[], None],
    on_epoch: OnEpoch,
    should_stop: ShouldStop,
) -> tuple[AllToAllModel, list[EpochRecord]]:
    """The backbone of a setting and its epochs, read from the folder, or trained and kept there.

    `on_wait` is called once if another trial is training it. BackboneStopped if `should_stop` says so meanwhile; ValueError if the file
    is damaged.
    """
    path = backbone_path(folder, config)
    path.parent.mkdir(exist_ok=True)
    with _alone(path.with_suffix(".lock"), on_wait, should_stop):
        if not path.exists():
            model, records = train_backbone(split, config, on_epoch, should_stop, device)
            if should_stop():
                raise BackboneStopped
            new = path.with_suffix(f".{os.getpid()}.new")
            write_backbone(new, model, {"records": [list(record) for record in records]})
            # safetensors writes for the owner alone; the other files follow the umask.
            new.chmod(path.with_suffix(".lock").stat().st_mode)
            with new.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(new, path)
    model, about = read_backbone(path, config, facts)
    try:
        records = [EpochRecord(*row) for row in about["records"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    return model.to(choose_device(device)), records


@contextmanager
def _alone(path: Path, on_wait: Callable[[], None], should_stop: ShouldStop) -> Iterator[None]:
    """Hold the lock of a file, which the system releases when the process ends; without effect on file systems that know no locks."""
    with path.open("a") as file:
        waits = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waits:
                    on_wait()
                waits = True
                if should_stop():
                    raise BackboneStopped from None
                time.sleep(_LOOK_SECONDS)
            except OSError:
                break
        try:
            yield
        finally:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_UN)
