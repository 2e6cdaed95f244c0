"""Points laid out in a plane: principal components at once, UMAP in a process of its own.

UMAP: McInnes, Healy, Melville, arXiv 1802.03426, by the package `umap-learn`. It starts from the principal components, so that what is far
apart there mostly stays so, and has one thread and a seed: the same points give the same picture on the same machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from sparcode.index.whole_folder import passing_folder

POINTS: Final = "points.npy"
START: Final = "start.npy"
REQUEST: Final = "request.json"
PROGRESS: Final = "progress.json"
PLANE: Final = "plane.npy"
# One thread; what it prepares at its first import is kept by numba beside the package.
_ENVIRONMENT: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
_ROOT: Final = Path(__file__).resolve().parents[2]
_LOOK_SECONDS: Final = 0.2
MOST_SECONDS: Final = 1800.0
MOST_POINTS: Final = 50_000


class UmapSettings(NamedTuple):
    """What UMAP is asked for: neighbours of a point that count, how close points may lie, the seed; epochs 0 are UMAP's own choice."""

    n_neighbors: int = 15
    min_dist: float = 0.1
    seed: int = 0
    n_epochs: int = 0


class UmapProgress(NamedTuple):
    """How far it is: ``"starting"``, ``"neighbours"`` or ``"layout"``, and the epochs done and in all, 0 before the layout."""

    stage: str
    done: int
    total: int


def principal_plane(points: np.ndarray) -> np.ndarray:
    """The first two principal components of (N, D) points: (N, 2) float32, of the same sign every time; zeros where there are fewer.

    ValueError unless points are two-dimensional and finite.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise ValueError(f"points must be (N, D) finite numbers; got shape {points.shape}")
    plane = np.zeros((len(points), 2), np.float32)
    if len(points) == 0:
        return plane
    centred = points - points.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :2]
    # A component and its opposite are equally good.
    axes = axes * np.where(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])] < 0, -1, 1)
    plane[:, : axes.shape[1]] = centred @ axes
    return plane


def plane_key(points: np.ndarray, settings: UmapSettings) -> str:
    """Names what UMAP makes of points: equal for equal points, settings and version of the package."""
    text = json.dumps([points.shape, settings, version("umap-learn")])
    return hashlib.sha256(text.encode() + np.ascontiguousarray(points, np.float32).tobytes()).hexdigest()[:32]


def umap_plane(
    points: np.ndarray, settings: UmapSettings, on_progress: Callable[[UmapProgress], None], check: Callable[[], None]
) -> np.ndarray:
    """UMAP of (N, D) points in a process of its own: (N, 2) float32.

    Parameters
    ----------
    on_progress
        Called a few times a second where something changed.
    check
        Called several times a second; what it raises ends the process and is passed on.

    Raises
    ------
    ValueError
        If there are fewer than 4 points or more than `MOST_POINTS`, or the process fails, with what it said.
    OSError
        If it cannot be started.
    """
    if not 4 <= len(points) <= MOST_POINTS:
        raise ValueError(f"UMAP takes 4 to {MOST_POINTS:,} points; got {len(points):,}")
    with passing_folder("sparcode-umap") as folder:
        np.save(folder / POINTS, np.ascontiguousarray(points, np.float32))
        np.save(folder / START, principal_plane(points))
        (folder / REQUEST).write_text(json.dumps({**settings._asdict(), "parent": os.getpid()}), encoding="utf-8")
        _run(folder, on_progress, check)
        plane = np.load(folder / PLANE, allow_pickle=False)
    if plane.shape != (len(points), 2) or not np.isfinite(plane).all():
        raise ValueError("UMAP gave points that cannot be drawn")
    return plane.astype(np.float32)


def _run(folder: Path, on_progress: Callable[[UmapProgress], None], check: Callable[[], None]) -> None:
    command = [sys.executable, "-m", "sparcode.space.umap_process", str(folder)]
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": str(_ROOT)}
    with (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
    deadline, told = time.monotonic() + MOST_SECONDS, UmapProgress("starting", 0, 0)
    on_progress(told)
    try:
        while not _has_ended(process):
            check()
            if (now := _progress(folder)) not in (None, told):
                told = now
                on_progress(now)
            if time.monotonic() > deadline:
                raise ValueError(f"UMAP takes more than {MOST_SECONDS / 60:.0f} minutes, the most it may; choose fewer points")
    finally:
        process.kill()
        process.wait()
    if process.returncode or not (folder / PLANE).is_file():
        said = (folder / "errors.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ValueError(f"UMAP ended with status {process.returncode}" + (f": {said[-1][:300]}" if said else ""))


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _progress(folder: Path) -> UmapProgress | None:
    try:
        return UmapProgress(*json.loads((folder / PROGRESS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
