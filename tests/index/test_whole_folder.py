from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from sparcode.index.whole_folder import clear_leftovers, write_whole
from tests.fakes import fill_disk_at_the_move

# Steps at which the writing process is killed: everything that changes the file system.
_STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def write(folder: Path, text: str) -> None:
    def fill(new: Path) -> None:
        (new / "a").write_text(text)
        (new / "b").write_text(text)

    write_whole(folder, fill)


def written(folder: Path) -> set[str]:
    return {(folder / name).read_text() for name in ("a", "b")}


def killed_at(step: int, folder: Path) -> bool:
    """Write in a child process that is killed at its n-th step; False if it came to its end before."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = step

    def kill(event: str, arguments: object) -> None:
        nonlocal left
        if event in _STEPS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    write(folder, "new")
    os._exit(0)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_kill_at_any_step_leaves_a_whole_folder_and_nothing_beside_it(
    tmp_path: Path, earlier: bool, caplog: pytest.LogCaptureFixture
) -> None:
    n_leftovers = 0
    for step in range(100):
        folder = tmp_path / str(step) / "run"
        folder.parent.mkdir()
        if earlier:
            write(folder, "old")
        caplog.clear()
        if not killed_at(step, folder):
            break
        n_left = sum(path.name.startswith(".run.saving-") for path in folder.parent.iterdir())
        clear_leftovers(folder)
        assert [path.name for path in folder.parent.iterdir()] == (["run"] if earlier or folder.exists() else [])
        assert not folder.exists() or written(folder) in ({"new"}, {"old"} if earlier else {"new"})
        assert sum("left by a process that was killed" in message for message in caplog.messages) == n_left
        n_leftovers += n_left
    assert step > n_leftovers > 5
    assert written(folder) == {"new"}
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_folder_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    def fill(new: Path) -> None:
        (new / "a").write_text("whole")
        clear_leftovers(tmp_path / "run")
        write(tmp_path / "run", "second")

    write_whole(tmp_path / "run", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert (tmp_path / "run" / "a").read_text() == "whole"


def test_folders_of_other_names_are_left_alone(tmp_path: Path) -> None:
    others = [".run.saving-x.saving-12345678", ".run2.saving-12345678", ".run.saving-1234567", "run.saving-12345678"]
    for name in others:
        (tmp_path / name).mkdir()
    clear_leftovers(tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_a_failed_move_brings_the_earlier_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "run", "old")
    fill_disk_at_the_move(monkeypatch)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "run", "new")
    assert written(tmp_path / "run") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
