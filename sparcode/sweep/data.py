"""The data of a sweep: kept once in its folder where that is possible, or read again from where it came."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from sparcode.comparison.run import data_facts
from sparcode.config import RunConfig, SyntheticConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import Source, TrainTestFiles, load_split
from sparcode.data.split import Split, split_users
from sparcode.runs.sources import HISTORIES, check_sources, read_histories, write_histories
from sparcode.sweep.definition import Definition, SweepData
from sparcode.sweep.space import Space

DATA: Final = "data"
_ITEMS: Final = "items.json"
_WITH_USERS: Final = ("users", "both")
# What a source was allowed to do when it was first read.
_PERMISSIONS: Final = ("download", "accept_terms")


def describe_data(
    interactions: Interactions,
    config: RunConfig,
    space: Space,
    source: Source | None = None,
    options: Mapping[str, Any] | None = None,
    flags: str = "",
) -> SweepData:
    """How the trials of a sweep find its data; parameters as for `create`.

    ValueError if the data cannot be kept in the folder, and no source says where to read it again.
    """
    facts = data_facts(interactions)
    try:
        check_sources(interactions, config)
        if any(choice in _WITH_USERS for dimension in space.dimensions for choice in getattr(dimension, "values", ())):
            raise ValueError("side features of users are not kept")
        return SweepData(facts=facts, flags=flags, is_kept=True)
    except ValueError as error:
        if source is None:
            raise ValueError(f"a sweep over this data needs the place it was read from: {error}") from error
    given = {name: _absolute(value) for name, value in (options or {}).items() if name not in _PERMISSIONS}
    about = {"facts": facts, "flags": flags, "options": given}
    if isinstance(source, SyntheticConfig):
        return SweepData(**about, synthetic=source)
    if isinstance(source, TrainTestFiles):
        return SweepData(**about, train=_absolute(source.train), test=_absolute(source.test))
    # The name of a published data set stays a name.
    return SweepData(**about, path=_absolute(Path(source)) if Path(source).exists() else str(source))


def keep_data(folder: Path, interactions: Interactions) -> None:
    """Write histories and items into a sweep's folder."""
    place = folder / DATA
    place.mkdir()
    catalogue = {
        "item_ids": [str(item_id) for item_id in interactions.item_ids],
        "columns": json.loads(interactions.items.to_json(orient="split", index=False)),
    }
    (place / _ITEMS).write_text(json.dumps(catalogue), encoding="utf-8")
    write_histories(place / HISTORIES, interactions)
    # safetensors writes for the owner alone; the other files follow the umask.
    (place / HISTORIES).chmod((place / _ITEMS).stat().st_mode)


def load_data(folder: Path, definition: Definition) -> tuple[Interactions, Split]:
    """The data of a sweep and its split; ValueError if it is damaged, cannot be read any more, or is not what it was."""
    about = definition.data
    if about.is_kept:
        try:
            catalogue = json.loads((folder / DATA / _ITEMS).read_text(encoding="utf-8"))
            items = pd.DataFrame(catalogue["columns"]["data"], columns=catalogue["columns"]["columns"])
            ids = [str(item_id) for item_id in catalogue["item_ids"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder / DATA / _ITEMS} is missing or damaged: {error}") from error
        interactions = read_histories(folder / DATA / HISTORIES, about.facts, ids, items)
        return interactions, split_users(interactions, definition.config.split)
    source: Source = about.synthetic or about.path
    if about.train is not None:
        source = TrainTestFiles(Path(about.train), Path(about.test))
    interactions, split = load_split(source, definition.config.split, progress=False, **about.options)
    if (found := interactions.content_hash()) != about.facts.content_hash:
        raise ValueError(
            f"{about.facts.name!r} is not what it was when the sweep began: its content is {found}, then it was {about.facts.content_hash}"
        )
    return interactions, split


def _absolute(value: Any) -> Any:
    """Paths as text that holds in any folder; other values as they are."""
    return str(value.absolute()) if isinstance(value, Path) else value
