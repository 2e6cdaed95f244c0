"""Layouts; UMAP itself is compiled anew in every process, so few tests run it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from sparcode.space import plane, umap_process
from sparcode.space.plane import UmapProgress, UmapSettings, plane_key, principal_plane, umap_plane

POINTS = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
SETTINGS = UmapSettings(n_neighbors=5, n_epochs=20, seed=3)


class Enough(Exception):
    """Raised by a check."""


def unasked() -> None:
    """A check that lets work go on."""


def as_umap(code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have another program run in place of UMAP."""
    (tmp_path / "sparcode" / "space").mkdir(parents=True)
    for package in ("sparcode", "sparcode/space"):
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "sparcode" / "space" / "umap_process.py").write_text(code)
    monkeypatch.setattr(plane, "_ROOT", tmp_path)


def test_principal_components_are_those_of_the_decomposition() -> None:
    found = principal_plane(POINTS)
    centred = POINTS - POINTS.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs(centred @ axes[:2].T), atol=1e-4)
    np.testing.assert_array_equal(found, principal_plane(POINTS))
    # Of the same sign whatever the order of the points.
    np.testing.assert_allclose(principal_plane(POINTS[::-1])[::-1], found, atol=1e-4)


def test_flat_and_missing_points_are_laid_out_too() -> None:
    assert principal_plane(np.ones((4, 3))).tolist() == [[0, 0]] * 4
    assert principal_plane(np.arange(3.0)[:, None])[:, 1].tolist() == [0, 0, 0]
    assert principal_plane(np.zeros((0, 3))).shape == (0, 2)
    with pytest.raises(ValueError, match="finite"):
        principal_plane(np.array([[np.nan, 1.0]]))


def test_umap_gives_the_same_layout_for_the_same_seed_in_any_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[UmapProgress] = []
    found = umap_plane(POINTS, SETTINGS, told.append, unasked)
    assert found.shape == (40, 2)
    assert told[0].stage == "starting"
    assert {one.stage for one in told} <= {"starting", "neighbours", "layout"}
    # Once more in this process, then with another seed.
    monkeypatch.setattr(umap_process.os, "nice", lambda by: by)
    monkeypatch.setattr(umap_process.resource, "setrlimit", lambda *limits: None)
    monkeypatch.setattr(umap_process.EpochStream, "tell_progress", lambda self, progress: told.append(progress))
    monkeypatch.setattr(sys, "argv", ["umap_process", str(tmp_path)])
    layouts = []
    for seed in (3, 4):
        np.save(tmp_path / plane.POINTS, POINTS)
        np.save(tmp_path / plane.START, principal_plane(POINTS))
        request = {**SETTINGS._replace(seed=seed)._asdict(), "parent": os.getppid()}
        (tmp_path / plane.REQUEST).write_text(json.dumps(request), encoding="utf-8")
        umap_process.main()
        layouts.append(np.load(tmp_path / plane.PLANE))
    np.testing.assert_array_equal(layouts[0], found)
    assert not np.array_equal(layouts[1], found)
    assert told[-1] == UmapProgress("layout", 20, 20)


def test_a_check_that_raises_ends_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mine = tmp_path / "pid"
    as_umap(f"import os, time\nopen({str(mine)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)", monkeypatch, tmp_path)

    def check() -> None:
        if mine.is_file() and mine.read_text():
            raise Enough

    with pytest.raises(Enough):
        umap_plane(POINTS, SETTINGS, lambda progress: None, check)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mine.read_text()), 0)


def test_what_the_process_said_last_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_umap("import sys\nsys.exit('the disk is full')", monkeypatch, tmp_path)
    with pytest.raises(ValueError, match="UMAP ended with status 1: the disk is full"):
        umap_plane(POINTS, SETTINGS, lambda progress: None, unasked)


def test_progress_reaches_the_caller_and_a_broken_layout_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = """
import json, os, sys, time
import numpy as np
folder = sys.argv[1]
open(folder + "/p", "w").write(json.dumps(["layout", 3, 9]))
os.replace(folder + "/p", folder + "/progress.json")
time.sleep(1)
np.save(folder + "/plane.npy", np.full((40, 2), np.nan, np.float32))
"""
    as_umap(code, monkeypatch, tmp_path)
    told: list[UmapProgress] = []
    with pytest.raises(ValueError, match="cannot be drawn"):
        umap_plane(POINTS, SETTINGS, told.append, unasked)
    assert told == [UmapProgress("starting", 0, 0), UmapProgress("layout", 3, 9)]


def test_the_deadline_ends_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_umap("import time\ntime.sleep(600)", monkeypatch, tmp_path)
    monkeypatch.setattr(plane, "MOST_SECONDS", 0.0)
    with pytest.raises(ValueError, match="choose fewer points"):
        umap_plane(POINTS, SETTINGS, lambda progress: None, unasked)


@pytest.mark.parametrize("n", [3, plane.MOST_POINTS + 1])
def test_too_few_and_too_many_points_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match="UMAP takes 4 to 50,000 points"):
        umap_plane(np.zeros((n, 2)), SETTINGS, lambda progress: None, unasked)


def test_the_progress_bar_is_read_and_an_orphan_ends(tmp_path: Path) -> None:
    stream = umap_process.EpochStream(tmp_path, os.getppid())
    for text in ("\r", "Epochs", "7/20"):
        assert stream.write(text) == len(text)
    assert json.loads((tmp_path / plane.PROGRESS).read_text()) == ["layout", 7, 20]
    with pytest.raises(SystemExit):
        umap_process.EpochStream(tmp_path, -1).write("8/20")


def test_equal_points_and_settings_have_one_key() -> None:
    key = plane_key(POINTS, SETTINGS)
    assert key == plane_key(POINTS.copy(), UmapSettings(*SETTINGS))
    others = [plane_key(POINTS + 1, SETTINGS), plane_key(POINTS.reshape(20, 10), SETTINGS), plane_key(POINTS, SETTINGS._replace(seed=4))]
    assert len({key, *others}) == 4
