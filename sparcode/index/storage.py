"""An index on disk, lists or blocks: a folder with ``index.json`` and one ``.npy`` file per array."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from sparcode.index.block_index import BLOCK_ARRAYS, MAX_SHIFT, BlockIndex
from sparcode.index.inverted_index import ARRAY_DTYPES, InvertedIndex
from sparcode.index.whole_folder import clear_leftovers, write_whole

FORMAT = "sparcode-index"
DESCRIPTION_FILE = "index.json"
LISTS, BLOCKS = "lists", "blocks"
# The last is written. Blocks of version 1 hold items in their own order, so they have no item_ids.
_VERSIONS = {LISTS: (1,), BLOCKS: (1, 2)}
_ARRAYS = {LISTS: tuple(ARRAY_DTYPES), BLOCKS: BLOCK_ARRAYS}


def save_index(index: InvertedIndex | BlockIndex, folder: Path | str) -> None:
    """Write an index in place of one that is there; see `sparcode.index.whole_folder`, leftovers of killed processes are removed.

    ValueError if something other than an index is there.
    """
    folder = Path(folder)
    clear_leftovers(folder)
    if folder.exists() and not (folder / DESCRIPTION_FILE).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ValueError(f"{folder} exists and is no index; name a new folder or one that holds an index")
    write_whole(folder, lambda new: _write(index, new))


def load_index(folder: Path | str, mmap: bool = False) -> InvertedIndex | BlockIndex:
    """Read an index and check all of it; with `mmap`, arrays are mapped instead of copied into memory, and checked all the same.

    ValueError if a file is missing, damaged or does not fit the others; it names the file and the problem.
    """
    folder = Path(folder)
    clear_leftovers(folder)
    path = folder / DESCRIPTION_FILE
    description = _read_description(path)
    kind = description["kind"]
    try:
        expected = _expected_arrays(description)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error
    arrays = {name: _read_array(folder / f"{name}.npy", *expected[name], mmap) for name in expected}
    if kind == BLOCKS:
        arrays.setdefault("item_ids", np.zeros(0, dtype=np.int32))
    floor = -np.inf if description["floor"] is None else description["floor"]
    try:
        if kind == LISTS:
            index = InvertedIndex(n_items=description["n_items"], floor=floor, **arrays)
        else:
            sizes = {name: description[name] for name in ("n_items", "shift", "per_list")}
            index = BlockIndex(floor=floor, **sizes, **arrays)
        index.check_postings()
    except ValueError as error:
        raise ValueError(f"{folder} holds no valid index: {error}") from error
    return index


def _write(index: InvertedIndex | BlockIndex, folder: Path) -> None:
    for name in _ARRAYS[_kind_of(index)]:
        np.save(folder / f"{name}.npy", getattr(index, name), allow_pickle=False)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(_description(index), indent=2) + "\n", encoding="utf-8")


def _kind_of(index: InvertedIndex | BlockIndex) -> str:
    return BLOCKS if isinstance(index, BlockIndex) else LISTS


def _description(index: InvertedIndex | BlockIndex) -> dict[str, Any]:
    kind = _kind_of(index)
    described = {
        "format": FORMAT,
        "version": _VERSIONS[kind][-1],
        "kind": kind,
        "n_items": index.n_items,
        "n_lists": index.n_lists,
        "n_postings": len(index.scores),
        "floor": index.floor if np.isfinite(index.floor) else None,  # JSON has no -inf
    }
    if kind == LISTS:
        return described | {
            "arrays": {name: {"dtype": np.dtype(dtype).name, "length": len(getattr(index, name))} for name, dtype in ARRAY_DTYPES.items()}
        }
    is_reordered = len(index.item_ids) > 0
    return described | {"shift": index.shift, "per_list": index.per_list, "scores": index.score_type, "is_reordered": is_reordered}


def _expected_arrays(description: dict[str, Any]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every array, by name; ValueError if the description does not give them, or gives impossible ones."""
    if description["kind"] == LISTS:
        arrays, expected = description.get("arrays"), {}
        for name, dtype in ARRAY_DTYPES.items():
            entry = arrays.get(name) if isinstance(arrays, dict) else None
            if not isinstance(entry, dict) or entry.get("dtype") != np.dtype(dtype).name or not _is_whole(entry.get("length")):
                raise ValueError(f"arrays must give {name} the dtype {np.dtype(dtype).name!r} and a length; got {entry!r}")
            expected[name] = (entry["dtype"], (entry["length"],))
        return expected
    for name in ("n_lists", "n_postings", "shift", "per_list"):
        if not _is_whole(description.get(name)):
            raise ValueError(f"{name} must be a whole number of at least 0; got {description.get(name)!r}")
    if not 1 <= description["shift"] <= MAX_SHIFT:
        raise ValueError(f"shift must lie in [1, {MAX_SHIFT}]; got {description['shift']}")
    is_reordered = description.get("is_reordered", False)
    if not isinstance(is_reordered, bool):
        raise ValueError(f"is_reordered must be true or false; got {is_reordered!r}")
    sizes = [description[name] for name in ("n_lists", "n_postings", "n_items", "shift")]
    expected = BlockIndex.expected(*sizes, description.get("scores"), is_reordered)
    if description["version"] == 1:
        del expected["item_ids"]
    return {name: (np.dtype(dtype).name, shape) for name, (dtype, shape) in expected.items()}


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"{path} does not describe an index: format must be {FORMAT!r}")
    # Indexes older than blocks have no kind.
    if description.setdefault("kind", LISTS) not in (LISTS, BLOCKS):
        raise ValueError(f"{path}: kind must be {' or '.join(_ARRAYS)}; got {description['kind']!r}")
    versions = _VERSIONS[description["kind"]]
    if description.get("version") not in versions:
        raise ValueError(f"{path} has version {description.get('version')!r}; this program reads version {' or '.join(map(str, versions))}")
    if not _is_whole(description.get("n_items")):
        raise ValueError(f"{path}: n_items must be a whole number of at least 0; got {description.get('n_items')!r}")
    floor = description.get("floor", "nothing")
    if floor is not None and not _is_finite(floor):
        raise ValueError(f"{path}: floor must be a finite number, or null for -inf; got {floor!r}")
    return description


def _read_array(path: Path, dtype: str, shape: tuple[int, ...], mmap: bool) -> np.ndarray:
    """An array whose header and size are what `dtype` and `shape` give, checked before anything is allocated."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            if version != (1, 0):
                raise ValueError(f"version {version} of the format; {(1, 0)} is expected")
            found_shape, is_fortran, found_dtype = np.lib.format.read_array_header_1_0(file)
            n_bytes = os.fstat(file.fileno()).st_size - file.tell()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # numpy parses a header as Python: SyntaxError, TokenError, EOFError, TypeError and more come out
        raise ValueError(f"{path} is damaged: {error}") from error
    if found_dtype != np.dtype(dtype) or found_shape != shape or is_fortran:
        raise ValueError(f"{path} holds shape {found_shape}, dtype {found_dtype}; {DESCRIPTION_FILE} says shape {shape}, dtype {dtype}")
    expected = math.prod(shape) * found_dtype.itemsize
    if n_bytes != expected:
        raise ValueError(f"{path} is damaged: {n_bytes} bytes follow its header; shape {shape}, dtype {dtype} take {expected}")
    try:
        # Copy-on-write, since the compiled loops treat a read-only array as another type; the file itself never changes.
        return np.load(path, allow_pickle=False, mmap_mode="c" if mmap else None)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def _is_finite(value: object) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float)) and bool(np.isfinite(float(value)))
    except OverflowError:  # JSON has whole numbers of any size
        return False


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
