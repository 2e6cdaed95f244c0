"""UMAP in a process of its own: ``python -m sparcode.space.umap_process FOLDER``.

`sparcode.space.plane` starts it. FOLDER holds `points.npy`, `start.npy` and `request.json`, then `progress.json` and `plane.npy`.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import Final

import numpy as np

from sparcode.space.plane import MOST_SECONDS, PLANE, POINTS, PROGRESS, REQUEST, START, UmapProgress

# Below the pages and trainings of others.
_NICENESS: Final = 10


class EpochStream(io.StringIO):
    """What UMAP's progress bar writes to: tells the epochs done and in all, and ends the process once its parent has ended."""

    def __init__(self, folder: Path, parent: int) -> None:
        super().__init__()
        self._folder, self._parent = folder, parent

    def write(self, text: str) -> int:
        """Take `n/total` from the bar's text; anything else is ignored."""
        done, _, total = text.strip().partition("/")
        if done.isdigit() and total.isdigit():
            self.tell_progress(UmapProgress("layout", int(done), int(total)))
        return len(text)

    def tell_progress(self, progress: UmapProgress) -> None:
        """Write it for the parent, whole or not at all."""
        if os.getppid() != self._parent:
            sys.exit("the studio has ended")
        new = self._folder / f"{PROGRESS}.new"
        new.write_text(json.dumps(progress), encoding="utf-8")
        os.replace(new, self._folder / PROGRESS)


def main() -> None:
    """Answer the request in the folder that the command line names."""
    folder = Path(sys.argv[1])
    told = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    os.nice(_NICENESS)
    # The studio ends it earlier; this holds even if the studio was killed.
    resource.setrlimit(resource.RLIMIT_CPU, (int(MOST_SECONDS) + 10,) * 2)
    stream = EpochStream(folder, told["parent"])
    points, start = (np.load(folder / name, allow_pickle=False) for name in (POINTS, START))
    # Takes seconds, and a minute where numba has nothing kept.
    import umap

    stream.tell_progress(UmapProgress("neighbours", 0, 0))
    spread = np.ptp(start, axis=0)
    mapper = umap.UMAP(
        n_neighbors=min(told["n_neighbors"], len(points) - 1),
        min_dist=told["min_dist"],
        random_state=told["seed"],
        n_jobs=1,
        n_epochs=told["n_epochs"] or None,
        # Points on a line cannot be scaled to a square.
        init=start if spread.min() > 0 else "random",
        tqdm_kwds={"file": stream, "disable": False, "bar_format": "{n_fmt}/{total_fmt}", "mininterval": 0.3},
    )
    plane = np.ascontiguousarray(mapper.fit_transform(points), np.float32)
    new = folder / "new.npy"
    np.save(new, plane)
    os.replace(new, folder / PLANE)


if __name__ == "__main__":
    main()
