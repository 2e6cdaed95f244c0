"""The sweeps of a studio: those in its folder, made here or by the command line, and the one that is recorded for the built-in data."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.kept.listing import LONGEST_NAME, as_name, is_name
from app.models.trained import Recording
from sparcode.index.whole_folder import remove_whole
from sparcode.sweep.definition import DEFINITION
from sparcode.sweep.folder import Sweep, load

RECORDED_SWEEP: Final = Path(__file__).resolve().parents[2] / "assets" / "sweep"
# In the folder of the recorded one: when and where.
RECORDING: Final = "recorded.json"
# Its name on pages; no folder has it.
RECORDED_NAME: Final = "recorded:sweep"
MOST_SWEEPS: Final = 20
# Of all together; once they take more, no other trial begins.
MOST_BYTES: Final = 8 * 2**30

_log = logging.getLogger(__name__)


class KeptSweeps:
    """The sweeps in a folder, which is made with the first one; None: there are none. Safe to share between threads and processes.

    `recorded` is the folder of the recorded one, which may be missing.
    """

    def __init__(self, folder: Path | None, recorded: Path = RECORDED_SWEEP) -> None:
        self._folder, self._recorded = folder, recorded

    @property
    def can_keep(self) -> bool:
        """Whether there is a folder for sweeps."""
        return self._folder is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sweeps in the folder, the one begun last first."""
        try:
            found = (
                [path for path in self._folder.iterdir() if is_name(path.name) and (path / DEFINITION).is_file()] if self._folder else []
            )
            return tuple(path.name for path in sorted(found, key=lambda path: (-(path / DEFINITION).stat().st_mtime_ns, path.name)))
        except OSError:
            return ()

    def place(self, name: str) -> Path:
        """The folder of a sweep, also of one that is to be made; ValueError, with what is allowed, for a name that is not possible."""
        if name == RECORDED_NAME:
            return self._recorded
        if self._folder is None:
            raise ValueError("this studio keeps no sweeps")
        if not is_name(name):
            raise ValueError(
                f"a sweep's name has small letters, digits and single hyphens between them, at most {LONGEST_NAME}; got {name[:80]!r}"
            )
        return self._folder / name

    def check_new(self, name: str) -> None:
        """ValueError unless another sweep may be made by this name."""
        place = self.place(name)
        if place.exists():
            raise ValueError(f"there is a sweep {name!r} already; choose another name")
        if len(self.names) >= MOST_SWEEPS:
            raise ValueError(f"{MOST_SWEEPS} sweeps are kept, the most there may be; delete one first")

    def check_room(self) -> None:
        """ValueError if the sweeps take too much room for another trial; a file under several names counts once."""
        sizes = {}
        for place, _, files in os.walk(self._folder) if self._folder else ():
            for file in files:
                # A trial under way may have moved it meanwhile.
                with suppress(OSError):
                    found = Path(place, file).lstat()
                    sizes[found.st_dev, found.st_ino] = found.st_size
        if (taken := sum(sizes.values())) > MOST_BYTES:
            raise ValueError(f"sweeps take {taken / 2**20:,.0f} MB, at most {MOST_BYTES / 2**20:,.0f} MB are kept; delete one first")

    def free_name(self, text: str) -> str:
        """A name for another sweep, made of any text, with a number where the plain one is taken."""
        wanted = as_name(text)
        numbered = (f"{wanted[: LONGEST_NAME - 4].strip('-')}-{number}" for number in range(2, MOST_SWEEPS + 3))
        return wanted if wanted not in self.names else next(name for name in numbered if name not in self.names)

    def load(self, name: str) -> Sweep:
        """Read a sweep, running or not; ValueError if there is none of this name, or it is damaged."""
        if name != RECORDED_NAME and name not in self.names:
            raise ValueError("there is no sweep of this name (any more)")
        return load(self.place(name))

    def recording(self, name: str) -> Recording | None:
        """When and where the recorded sweep was made; None for others, and if it is not there."""
        if name != RECORDED_NAME or not self._recorded.is_dir():
            return None
        try:
            about = json.loads((self._recorded / RECORDING).read_text(encoding="utf-8"))
            return Recording(str(about["day"]), str(about["machine"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("the recorded sweep is not shown: %s", str(error).splitlines()[0])
            return None

    def delete(self, name: str) -> None:
        """Remove a sweep with its runs, if it is there; ValueError while it runs, OSError if that is not permitted."""
        if name in self.names:
            if self.load(name).is_running:
                raise ValueError("it is running; cancel it first")
            remove_whole(self.place(name))
