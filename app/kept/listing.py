"""Which runs are kept, read from their descriptions alone: no model, no data, so that every page can list them."""

from __future__ import annotations

import json
import logging
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

KEPT: Final = "kept.json"
KEPT_VERSION: Final = 1
LONGEST_NAME: Final = 40
_NAME: Final = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?")
_BETWEEN: Final = re.compile(r"[^a-z0-9]+")
# A description has a line per epoch; this is a hundred times one of a thousand epochs.
_MOST_BYTES: Final = 32 * 2**20

_log = logging.getLogger(__name__)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class KeptAbout(_Part):
    """What is told of a kept run beside its settings, weights and figures.

    Attributes
    ----------
    day, machine
        When it was kept (``YYYY-MM-DD``), and where it was trained.
    data, facts, data_key
        Name of the data, its sizes in words, and the key by which runs on the same data are comparable.
    n_codebooks, codebook_size, n_nearest
        M, K and P.
    n_backbone_records
        How many of the run's records are those of its backbone; the others are SparCode's.
    backbone_recall, backbone_ndcg
        Figures of the backbone, scoring every item.
    points, result
        Epochs and figures as the Train page shows them.
    """

    format_version: int
    day: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    machine: str
    data: str
    synthetic: bool
    facts: str
    data_key: str
    n_codebooks: int = Field(ge=1)
    codebook_size: int = Field(ge=1)
    n_nearest: int = Field(ge=1)
    n_backbone_records: int = Field(ge=0)
    backbone_recall: float
    backbone_ndcg: float
    points: list[dict[str, Any]]
    result: dict[str, Any]


def is_name(text: str) -> bool:
    """Whether a run may have this name: small letters, digits and single hyphens between them, at most `LONGEST_NAME`."""
    return _NAME.fullmatch(text) is not None and "--" not in text


def as_name(text: str) -> str:
    """A name made of any text; ``run`` where nothing of it is left."""
    return _BETWEEN.sub("-", text.lower()).strip("-")[:LONGEST_NAME].strip("-") or "run"


def kept_names(folder: Path) -> tuple[str, ...]:
    """Names of the runs that are kept in a folder, by name; empty if there is no such folder."""
    try:
        return tuple(sorted(path.name for path in folder.iterdir() if is_name(path.name) and (path / KEPT).is_file()))
    except OSError:
        return ()


def read_about(folder: Path, name: str) -> KeptAbout | None:
    """The description of a kept run; None, and a line in the log, if it is gone or damaged."""
    path = folder / name / KEPT
    try:
        found = path.stat()
        return _read(path, found.st_size, found.st_mtime_ns)
    except (OSError, ValueError, RecursionError) as error:
        _log.warning("kept run %s: %s", name, str(error).splitlines()[0])
        return None


# Pages ask with every run of their script.
@lru_cache(128)
def _read(path: Path, n_bytes: int, changed_ns: int) -> KeptAbout:
    if n_bytes > _MOST_BYTES:
        raise ValueError(f"{path} has {n_bytes:,} bytes; at most {_MOST_BYTES:,} are read")
    about = KeptAbout.model_validate(json.loads(path.read_text(encoding="utf-8")))
    if about.format_version != KEPT_VERSION:
        raise ValueError(f"{path} has format version {about.format_version}; this version of the studio reads {KEPT_VERSION}")
    return about
