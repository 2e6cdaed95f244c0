"""What a run was made from, kept beside it: the histories it learned from, and its backbone, from which other codes can be made.

Both are plain arrays (safetensors), listed in the run's manifest. Who the users are is not kept: they become numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError

from sparcode.config import RunConfig
from sparcode.data.facts import DataFacts
from sparcode.data.interactions import Histories, Interactions
from sparcode.model.all_to_all import AllToAllModel
from sparcode.runs.store import Run

HISTORIES: Final = "histories.safetensors"
BACKBONE: Final = "backbone.safetensors"
_ABOUT: Final = "sparcode"
_WITH_USERS: Final = ("users", "both")


class Sources(NamedTuple):
    """The data that a run was made from, its users without ids and side features, and the trained model without codes."""

    interactions: Interactions
    backbone: AllToAllModel


def check_sources(interactions: Interactions, config: RunConfig) -> None:
    """ValueError if a run of these settings needs more of its data than is kept: side features of users, or a split made elsewhere."""
    if interactions.parts:
        raise ValueError(f"{interactions.name!r} has a split of its own, which is not kept beside a run")
    if config.model.side_features in _WITH_USERS:
        raise ValueError(f"side_features={config.model.side_features!r}: features of users are not kept beside a run")


def write_sources(folder: Path, sources: Sources) -> None:
    """Write data and backbone into the folder of a run that is being saved; ValueError as for `check_sources`."""
    write_histories(folder / HISTORIES, sources.interactions)
    write_backbone(folder / BACKBONE, sources.backbone)
    for name in (HISTORIES, BACKBONE):
        # safetensors writes for the owner alone; the other files follow the umask.
        (folder / name).chmod((folder / "run.json").stat().st_mode)


def write_histories(path: Path, interactions: Interactions) -> None:
    """Write the histories of a data set, and what is known of them beside items and users."""
    about = {"has_time": interactions.has_time, "dropped": dict(interactions.dropped), "time_span": interactions.time_span}
    arrays = {"indptr": interactions.histories.indptr, "items": interactions.histories.items}
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, {_ABOUT: json.dumps(about)})


def write_backbone(path: Path, backbone: AllToAllModel, about: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Write the weights of a backbone, and what JSON can hold `about` it."""
    weights = {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()}
    safetensors.torch.save_file(weights, path, {_ABOUT: json.dumps(about)} if about else None)


def has_sources(folder: Path) -> bool:
    """Whether data and backbone are kept beside a run."""
    return (folder / HISTORIES).is_file() and (folder / BACKBONE).is_file()


def load_sources(folder: Path, run: Run) -> Sources:
    """Read what `write_sources` wrote beside a run that `sparcode.runs.store.load_run` has checked.

    ValueError if a file is missing or damaged, or does not fit the run; names the file.
    """
    if not has_sources(folder):
        raise ValueError(f"{folder.name} keeps no data and no backbone beside it")
    return Sources(
        read_histories(folder / HISTORIES, run.data, run.item_ids, run.items), read_backbone(folder / BACKBONE, run.config, run.data)[0]
    )


def read_histories(path: Path, data: DataFacts, item_ids: Sequence[str], items: pd.DataFrame) -> Interactions:
    """Read what `write_histories` wrote of the data of these facts; ValueError if it is damaged, or of other data."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            about = json.loads(file.metadata()[_ABOUT])
            arrays = {name: file.get_tensor(name) for name in ("indptr", "items")}
        histories = Histories(arrays["indptr"], arrays["items"], data.n_items)
        interactions = Interactions(
            histories=histories,
            user_ids=np.arange(len(histories)),
            item_ids=np.array(item_ids, dtype=object),
            items=items,
            name=data.name,
            synthetic=data.synthetic,
            has_time=bool(about["has_time"]),
            dropped={str(reason): int(n) for reason, n in about["dropped"].items()},
            time_span=None if about["time_span"] is None else tuple(map(str, about["time_span"])),
        )
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if (found := interactions.content_hash()) != data.content_hash:
        raise ValueError(f"{path} holds other data than the run was made from: its hash is {found}, that of the run {data.content_hash}")
    return interactions


def read_backbone(path: Path, config: RunConfig, data: DataFacts) -> tuple[AllToAllModel, dict[str, Any]]:
    """Read what `write_backbone` wrote, and what was said about it; ValueError if it is damaged or of other settings or data."""
    try:
        weights = safetensors.torch.load_file(path)
        # Side features come with the data, so their number is read off the weights.
        user_map = weights.get("tokenizer.encoder.features.weight")
        n_features = 0 if user_map is None else user_map.shape[1]
        model = AllToAllModel(data.n_items, config.model, config.training.dropout, n_features, weights.get("interaction.items.features"))
        model.load_state_dict(weights)
        with safetensors.safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(_ABOUT, "{}"))
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or does not fit the run's settings: {str(error).splitlines()[0]}") from error
    if bad := [name for name, value in weights.items() if value.is_floating_point() and not torch.isfinite(value).all()]:
        raise ValueError(f"{path} holds numbers that are not finite in {bad[0]}")
    return model.eval(), about
