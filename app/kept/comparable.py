"""The runs that can be compared: those in the folder of runs, kept by visitors or made by the command line, and those recorded."""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from app.kept.listing import KEPT
from app.recorded.runs import RecordedRuns
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split, split_users
from sparcode.index.inverted_index import InvertedIndex
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.description import DESCRIPTION, RunDescription, read_description
from sparcode.runs.sources import has_sources, load_sources
from sparcode.runs.store import load_run
from sparcode.training.pipeline import build_run_index

# Before the name of a recorded run; no folder has a colon in its name here.
RECORDED: Final = "recorded:"
_FOLDER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
# A description has a line per epoch; this is a hundred times one of a thousand epochs.
_MOST_BYTES: Final = 32 * 2**20

Origin = Literal["kept", "command line", "recorded"]


class RunFacts(NamedTuple):
    """What is known of a run before its model is read.

    Attributes
    ----------
    name
        By which it is asked for: the name of its folder, or `RECORDED` and a name.
    origin
        Whether a visitor kept it, the command line made it, or it is stored with the studio.
    data_name, data_hash
        Of the data it was made from.
    """

    name: str
    origin: Origin
    config: RunConfig
    data_name: str
    data_hash: str

    @property
    def same_users(self) -> tuple[str, str]:
        """Equal for runs that are tested on the same users, with the same queries and targets."""
        return self.data_hash, self.config.split.content_hash()


class RunParts(NamedTuple):
    """A run in memory: its model and index, and the users it is trained and tested on."""

    facts: RunFacts
    model: SparCodeModel
    index: InvertedIndex
    split: Split


class ComparableRuns:
    """Lists and reads them. Safe to share between threads.

    Parameters
    ----------
    folder
        Of kept runs; None: there are none.
    own, recorded
        The data that the studio was started with, and what is recorded for it.
    """

    def __init__(self, folder: Path | None, own: Interactions, recorded: RecordedRuns) -> None:
        self._folder, self._own, self._recorded = folder, own, recorded
        self._own_hash = ""
        self._lock = threading.Lock()

    def in_folder(self) -> tuple[str, ...]:
        """Names of the runs in the folder, the one made last first."""
        try:
            found = [path for path in self._folder.iterdir() if _is_run(path)] if self._folder else []
            return tuple(path.name for path in sorted(found, key=lambda path: (-(path / DESCRIPTION).stat().st_mtime_ns, path.name)))
        except OSError:
            return ()

    def recorded(self) -> tuple[str, ...]:
        """Names of the recorded runs."""
        return tuple(self._configs())

    def facts(self, name: str) -> RunFacts:
        """What is known of a run; ValueError, in words for a page, if there is none of this name or its description is damaged."""
        if name.startswith(RECORDED):
            if (config := self._configs().get(name)) is None:
                raise ValueError(f"nothing is recorded as {name.removeprefix(RECORDED)}")
            return RunFacts(name, "recorded", config, self._own.name, self.own_hash())
        if self._folder is None or not _FOLDER_NAME.fullmatch(name) or not _is_run(self._folder / name):
            raise ValueError("there is no run of this name (any more)")
        try:
            described = _described(self._folder / name, self.stamp(name))
        except OSError as error:
            raise ValueError(f"its {DESCRIPTION} cannot be read: {error.strerror}") from error
        origin = "kept" if (self._folder / name / KEPT).is_file() else "command line"
        return RunFacts(name, origin, described.config, described.data.name, described.data.content_hash)

    def stamp(self, name: str) -> str:
        """Tells a run from another one that has or had its name; empty for recorded runs, and if there is none."""
        if name.startswith(RECORDED) or self._folder is None or not _FOLDER_NAME.fullmatch(name):
            return ""
        try:
            found = (self._folder / name / DESCRIPTION).stat()
        except OSError:
            return ""
        return f"{found.st_size}-{found.st_mtime_ns}"

    def open(self, name: str) -> RunParts:
        """Read a run and check it; a recorded one's index is built. ValueError as for `facts`, and if its data is not at hand."""
        facts = self.facts(name)
        if facts.origin == "recorded":
            tuned = self._recorded.tuned(facts.config)
            if tuned is None:
                raise ValueError("its recorded weights are damaged")
            split = split_users(self._own, facts.config.split)
            return RunParts(facts, tuned.model, build_run_index(tuned.model, split.train, facts.config.index), split)
        folder = self._folder / name
        run = load_run(folder)
        if facts.data_hash == self.own_hash():
            data = self._own
        elif has_sources(folder):
            data = load_sources(folder, run).interactions
        else:
            raise ValueError(
                f"its data ({facts.data_name}) is not kept beside it and is not what this studio was started with; "
                "start the studio with SPARCODE_DATA set to it"
            )
        return RunParts(facts, run.model, run.index, split_users(data, run.config.split))

    def own_hash(self) -> str:
        """Hash of the studio's own data; computed once."""
        with self._lock:
            self._own_hash = self._own_hash or self._own.content_hash()
            return self._own_hash

    def _configs(self) -> dict[str, RunConfig]:
        found: dict[str, RunConfig] = {}
        for config in self._recorded.tuned_configs():
            n_codebooks, size = config.quantizer.codebooks(self._own.n_items)
            name = f"{RECORDED}m{n_codebooks}-k{size}"
            same = sum(known == name or known.startswith(f"{name}-") for known in found)
            found[f"{name}-{same + 1}" if same else name] = config
        return found


def _is_run(path: Path) -> bool:
    return _FOLDER_NAME.fullmatch(path.name) is not None and (path / DESCRIPTION).is_file()


# Pages ask with every run of their script.
@lru_cache(256)
def _described(folder: Path, stamp: str) -> RunDescription:
    if (size := (folder / DESCRIPTION).stat().st_size) > _MOST_BYTES:
        raise ValueError(f"its {DESCRIPTION} has {size:,} bytes; at most {_MOST_BYTES:,} are read")
    return read_description(folder)
