"""Worker processes whose lives are written down, for tests of the parent; imports little, since every process does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple


class Story(NamedTuple):
    """What becomes of each worker in the order of their starts; all later ones fail.

    `folder` has a file for each start, and `end` once the story is over.
    """

    folder: Path
    lives: tuple[str, ...]
    drain_seconds: int = 5

    def starts(self) -> int:
        """Workers started so far."""
        return len(list(self.folder.glob("start-*")))


def live(story: Story, listening: object, parent: Connection) -> None:
    """In place of `run_worker`."""
    number = 0
    while True:
        try:
            (story.folder / f"start-{number}").touch(exist_ok=False)
            break
        except FileExistsError:
            number += 1
    life = story.lives[number] if number < len(story.lives) else "fails"
    end = story.folder / "end"
    if life == "fails":
        sys.exit(1)
    if life == "loads until the end":
        _wait(end.exists)
        sys.exit(1)
    parent.send("ready")
    if life == "leaves when ready":
        sys.exit(7)
    parent.recv()
    if life == "ends it all":
        end.touch()
    elif life == "dies":
        # Once the first ones are there.
        _wait(lambda: story.starts() > 1)
    elif life == "dies with a third":
        _wait(lambda: story.starts() > 2)
    else:
        _wait(end.exists)
    sys.exit(3)


def _wait(done: Callable[[], bool]) -> None:
    # No longer than the parent lives.
    parent = os.getppid()
    while not done() and os.getppid() == parent:
        time.sleep(0.01)
