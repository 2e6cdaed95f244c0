"""Run folders: settings and history as JSON, weights as safetensors, the index as plain arrays, all with checksums; nothing unpickled."""

from __future__ import annotations

import itertools
import json
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError

from sparcode.config import RunConfig
from sparcode.data.facts import DataFacts
from sparcode.data.side_features import UserEncoding
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.storage import load_index, save_index
from sparcode.index.whole_folder import clear_leftovers, refuse_link, reserved, reserved_folder, write_whole
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.description import RunDescription, described_json, read_description, read_json, run_id
from sparcode.runs.manifest import FORMAT_VERSION, MANIFEST, VERSION_WITHOUT_SUMS, check_manifest, write_manifest
from sparcode.training.checkpoint import beginning_of, remove_states, stage_files
from sparcode.training.epoch_record import EpochRecord

logger = logging.getLogger(__name__)

_FILES = ("run.json", "model.safetensors", "items.json", "index", MANIFEST)
# Only where the model sees side features of users.
_USERS_FILE = "users.json"


@dataclass(frozen=True)
class Run:
    """A trained model with its index, the data and settings it came from, and what was measured.

    Attributes
    ----------
    item_ids, items
        Original ids as text, and texts, in index order.
    records, results
        Training history, and measured figures, one row per model.
    machine
        Description of the machine they were measured on.
    user_encoding
        How user attributes become the side features that the model sees; None: it sees none.
    """

    config: RunConfig
    data: DataFacts
    model: SparCodeModel
    index: InvertedIndex
    item_ids: list[str]
    items: pd.DataFrame
    records: list[EpochRecord]
    results: list[dict[str, Any]]
    machine: str
    user_encoding: UserEncoding | None = None

    @property
    def run_id(self) -> str:
        """Content address: hash of data and settings."""
        return run_id(self.data, self.config.content_hash())


def save_run(run: Run, folder: Path | str, overwrite: bool = False, beside: Callable[[Path], None] = lambda folder: None) -> Path:
    """Write a run folder; it appears complete or not at all, and leftovers of killed processes beside it are removed.

    `beside` may add files of its own, which get checksums too. ValueError if the folder is there, unless `overwrite` is true and it holds
    a run (or nothing), or if it is a symbolic link.
    """
    folder = Path(folder)
    clear_leftovers(folder)
    refuse_link(folder)
    is_run = folder.is_dir() and ((folder / "run.json").is_file() or not any(folder.iterdir()))
    if folder.exists() and not (overwrite and is_run):
        raise ValueError(f"{folder} exists{'; it is not a run and is left alone' if overwrite else '; give another folder or overwrite'}")
    write_whole(folder, lambda new: _write(run, new, beside))
    return folder


def keep_run(run: Run, folder: Path, overwrite: bool = False) -> tuple[Path, str]:
    """As `save_run`, but a run that cannot be written to its folder is kept elsewhere.

    The places are, in turn: the folder, ``NAME.kept-1`` beside it (or the next free number), and such a name among temporary files.

    Returns
    -------
    tuple
        Where the run is, and why it is not in its folder; empty if it is.

    Raises
    ------
    RuntimeError
        If it cannot be written anywhere; names every place and its problem.
    """
    problems: list[str] = []
    for place in (folder, _free_name(folder), _free_name(Path(tempfile.gettempdir()) / folder.name)):
        try:
            return save_run(run, place, overwrite and not problems), "; ".join(problems)
        except Exception as error:  # whatever it is, the training must not be lost with it
            problems.append(f"{place} cannot be written: {getattr(error, 'strerror', None) or error or type(error).__name__}")
    raise RuntimeError("; ".join(problems))


def _free_name(folder: Path) -> Path:
    names = (folder.with_name(f"{folder.name}.kept-{number}") for number in itertools.count(1))
    return next(path for path in names if not os.path.lexists(path))


def load_run(folder: Path | str, mmap: bool = False) -> Run:
    """Read a run folder and check it, all files against the checksums of the manifest; with `mmap` the index is mapped, not copied.

    A run of format version 2, which has no checksums, is read with a warning. ValueError if a file is missing or damaged, the version is
    another one, settings were edited, or parts do not fit together; names the file and the problem.
    """
    folder = Path(folder)
    clear_leftovers(folder)
    path = folder / "run.json"
    missing = [name for name in _FILES if not (folder / name).exists()]
    if missing not in ([], [MANIFEST]):
        stopped = "; a training to it was stopped, which train --resume goes on with" if stage_files(reserved_folder(folder)) else ""
        raise ValueError(f"{folder} is not a run folder: it lacks {', '.join(missing)}{stopped}")
    if not missing:
        check_manifest(folder)
    described = read_description(folder)
    if missing:
        if read_json(path).get("format_version") != VERSION_WITHOUT_SUMS:
            raise ValueError(f"{folder} is not a run folder: it lacks {MANIFEST}")
        logger.warning("%s is of an earlier version and has no checksums: save it again", folder)
    config, data = described.config, described.data
    index = load_index(folder / "index", mmap)
    if not isinstance(index, InvertedIndex):
        raise ValueError(f"{folder / 'index'} holds blocks; a run keeps lists, from which blocks are made where they are served")
    item_ids, items = _load_items(folder / "items.json")
    # Before the model: a damaged number of items must not decide how much memory is asked for.
    if not len(item_ids) == len(items) == index.n_items == data.n_items:
        raise ValueError(
            f"{folder}: {len(item_ids)} item ids, {len(items)} item rows and an index over {index.n_items} items "
            f"for data of {data.n_items} items in run.json"
        )
    n_codebooks, codebook_size = config.quantizer.codebooks(data.n_items)
    n_codes = codebook_size**n_codebooks + (data.n_items if config.model.item_lists != "none" else 0)
    if index.n_lists and index.codes[-1] >= n_codes:
        raise ValueError(f"{folder / 'index'} has a list for code {index.codes[-1]}; the run's settings allow codes below {n_codes}")
    model = _load_model(folder / "model.safetensors", config, data.n_items)
    encoding = _load_user_encoding(folder / _USERS_FILE, model.backbone.tokenizer.encoder.features)
    _clear_checkpoint(folder, config)
    return Run(config, data, model, index, item_ids, items, described.records, described.results, described.machine, encoding)


def _clear_checkpoint(folder: Path, config: RunConfig) -> None:
    """Remove the checkpoint of a run's own training, left by a process that was killed between saving the run and removing it."""
    hidden = reserved_folder(folder)
    with suppress(OSError, ValueError):
        saved = (folder / MANIFEST).stat().st_mtime_ns
        files = stage_files(hidden)
        # A later one is of a training that is to replace the run.
        if files and all(path.stat().st_mtime_ns <= saved for path in files):
            with reserved(folder):
                if all(beginning_of(path).config.content_hash() == config.content_hash() for path in files):
                    remove_states(hidden)
                    logger.warning("%s: removed %s, left by a process that was killed after it saved the run", folder, hidden.name)


def _write(run: Run, folder: Path, beside: Callable[[Path], None]) -> None:
    described, weights = folder / "run.json", folder / "model.safetensors"
    content = RunDescription(run.config, run.data, run.records, run.results, run.machine)
    described.write_text(described_json(content, FORMAT_VERSION), encoding="utf-8")
    safetensors.torch.save_file({name: value.contiguous() for name, value in run.model.state_dict().items()}, weights)
    # safetensors writes for the owner alone; the other files follow the umask.
    weights.chmod(described.stat().st_mode)
    catalogue = {"item_ids": run.item_ids, "columns": json.loads(run.items.to_json(orient="split", index=False))}
    (folder / "items.json").write_text(json.dumps(catalogue), encoding="utf-8")
    if run.user_encoding is not None:
        (folder / _USERS_FILE).write_text(run.user_encoding.model_dump_json(), encoding="utf-8")
    save_index(run.index, folder / "index")
    beside(folder)
    write_manifest(folder)


def _load_items(path: Path) -> tuple[list[str], pd.DataFrame]:
    catalogue = read_json(path)
    try:
        item_ids = [str(item_id) for item_id in catalogue["item_ids"]]
        items = pd.DataFrame(catalogue["columns"]["data"], columns=catalogue["columns"]["columns"])
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{path} is damaged: {error!r}") from error
    if "title" not in items.columns:
        raise ValueError(f"{path} is damaged: items need a title; got the columns {list(items.columns)}")
    return item_ids, items


def _load_user_encoding(path: Path, seen: torch.nn.Linear | None) -> UserEncoding | None:
    if seen is None:
        return None
    if not path.exists():
        raise ValueError(f"{path.parent} is not a run folder: its model sees side features of users, but it lacks {path.name}")
    try:
        encoding = UserEncoding.model_validate(read_json(path))
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if encoding.n_features != seen.in_features:
        raise ValueError(f"{path} describes {encoding.n_features} side features of users; the run's model sees {seen.in_features}")
    return encoding


def _load_model(path: Path, config: RunConfig, n_items: int) -> SparCodeModel:
    try:
        weights = safetensors.torch.load_file(path)
        # Side features come with the data, so their number is read off the weights.
        user_map = weights.get("backbone.tokenizer.encoder.features.weight")
        item_features = weights.get("backbone.interaction.items.features")
        n_features = 0 if user_map is None else user_map.shape[1]
        backbone = AllToAllModel(n_items, config.model, config.training.dropout, n_features, item_features)
        model = SparCodeModel(backbone, config.quantizer)
        model.load_state_dict(weights)
        for fitted in (model.pairs, model.lists):
            if fitted is not None:
                fitted.check()
    except (SafetensorError, RuntimeError, OSError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is damaged or does not fit the run's settings: {str(error).splitlines()[0]}") from error
    if bad := [name for name, value in weights.items() if not torch.isfinite(value).all()]:
        raise ValueError(f"{path} holds numbers that are not finite in {bad[0]}")
    model.eval()
    return model
