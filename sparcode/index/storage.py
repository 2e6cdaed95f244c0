"""An index on disk: a folder with ``index.json`` and one ``.npy`` file per array."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np

from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex

FORMAT = "sparcode-index"
FORMAT_VERSION = 1
DESCRIPTION_FILE = "index.json"


def save_index(index: InvertedIndex, folder: Path | str) -> None:
    """Write an index; the folder appears whole or not at all.

    Parameters
    ----------
    index
        What to write.
    folder
        Where to. An index that is there is replaced.

    Raises
    ------
    ValueError
        If something other than an index is there.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / DESCRIPTION_FILE).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is no index; name a new folder or one that holds an index")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        for name in ARRAY_DTYPES:
            np.save(new / f"{name}.npy", getattr(index, name), allow_pickle=False)
        (new / DESCRIPTION_FILE).write_text(json.dumps(_description(index), indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            # A folder cannot replace one that has files, so the old one steps aside first, and back should the move fail.
            os.replace(folder, old)
        try:
            os.replace(new, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise


def load_index(folder: Path | str, mmap: bool = False) -> InvertedIndex:
    """Read an index and check all of it.

    Parameters
    ----------
    folder
        Written by `save_index`.
    mmap
        Map the arrays instead of reading them into memory. They are checked (so read once) all the same.

    Raises
    ------
    ValueError
        If a file is missing, damaged or does not fit the others; the message names the file and the problem.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION_FILE
    description = _read_description(path)
    arrays = {name: _read_array(folder / f"{name}.npy", description["arrays"][name], mmap) for name in ARRAY_DTYPES}
    floor = -np.inf if description["floor"] is None else description["floor"]
    try:
        index = InvertedIndex(n_items=description["n_items"], floor=floor, **arrays)
        index.check_postings()
    except ValueError as error:
        raise ValueError(f"{folder} holds no valid index: {error}") from error
    return index


def _description(index: InvertedIndex) -> dict:
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "n_items": index.n_items,
        "n_lists": index.n_lists,
        "n_postings": len(index.item_ids),
        "floor": index.floor if np.isfinite(index.floor) else None,  # JSON has no -inf
        "arrays": {name: {"dtype": np.dtype(dtype).name, "length": len(getattr(index, name))} for name, dtype in ARRAY_DTYPES.items()},
    }


def _read_description(path: Path) -> dict:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"{path} does not describe an index: format must be {FORMAT!r}")
    if description.get("version") != FORMAT_VERSION:
        raise ValueError(f"{path} has version {description.get('version')!r}; this program reads version {FORMAT_VERSION}")
    if not _is_whole(description.get("n_items")):
        raise ValueError(f"{path}: n_items must be a whole number of at least 0; got {description.get('n_items')!r}")
    floor = description.get("floor", "nothing")
    if floor is not None and (isinstance(floor, bool) or not isinstance(floor, (int, float)) or not np.isfinite(floor)):
        raise ValueError(f"{path}: floor must be a finite number, or null for -inf; got {floor!r}")
    arrays = description.get("arrays")
    for name, dtype in ARRAY_DTYPES.items():
        entry = arrays.get(name) if isinstance(arrays, dict) else None
        if not isinstance(entry, dict) or entry.get("dtype") != np.dtype(dtype).name or not _is_whole(entry.get("length")):
            raise ValueError(f"{path}: arrays must give {name} the dtype {np.dtype(dtype).name!r} and a length; got {entry!r}")
    return description


def _read_array(path: Path, entry: dict, mmap: bool) -> np.ndarray:
    try:
        # Copy-on-write, since the compiled loops treat a read-only array as another type; the file itself never changes.
        array = np.load(path, allow_pickle=False, mmap_mode="c" if mmap else None)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} holds several arrays; one is expected")
    if array.ndim != 1 or array.dtype.name != entry["dtype"] or len(array) != entry["length"]:
        said = f"length {entry['length']}, dtype {entry['dtype']}"
        raise ValueError(f"{path} holds shape {array.shape}, dtype {array.dtype}; {DESCRIPTION_FILE} says {said}")
    return array


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
