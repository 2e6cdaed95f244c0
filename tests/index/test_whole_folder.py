from __future__ import annotations

import errno
import os
import signal
import tempfile
from pathlib import Path

import pytest

from sparcode.index.whole_folder import clear_leftovers, passing_folder, remove_whole, reserved, try_place, write_whole
from tests.fakes import fill_disk_at_the_move, killed_at, raising


def write(folder: Path, text: str) -> None:
    def fill(new: Path) -> None:
        (new / "a").write_text(text)
        (new / "b").write_text(text)

    write_whole(folder, fill)


def written(folder: Path) -> set[str]:
    return {(folder / name).read_text() for name in ("a", "b")}


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
        if not killed_at(step, lambda folder=folder: write(folder, "new")):
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


def test_files_are_on_the_disk_before_the_folder_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, sync, folder = [], os.fsync, tmp_path / "run"

    def noted(descriptor: int) -> None:
        sync(descriptor)
        synced.append((os.fstat(descriptor).st_ino, folder.exists()))
        if synced[-1] == (tmp_path.stat().st_ino, True):
            raise OSError(errno.EINVAL, "folders are not synced here")

    monkeypatch.setattr(os, "fsync", noted)
    write(folder, "new")
    before = {number for number, is_there in synced if not is_there}
    assert before == {path.stat().st_ino for path in (folder, folder / "a", folder / "b")}
    assert synced[len(before) :] == [(tmp_path.stat().st_ino, True)]


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


def test_a_passing_folder_is_gone_at_the_end_and_after_a_kill_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def passes() -> None:
        with passing_folder("mine") as folder:
            (folder / "a").write_text("for a moment")

    kills = sum(killed_at(step, passes) for step in range(4))
    assert kills
    assert os.listdir(tmp_path)
    passes()
    assert not os.listdir(tmp_path)


def test_a_link_in_the_place_of_a_leftover_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "theirs" / "old", "years of work")
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary" / ".mine.saving-12345678").symlink_to(tmp_path / "theirs")
    clear_leftovers(tmp_path / "temporary" / "mine")
    assert written(tmp_path / "theirs" / "old") == {"years of work"}


def test_a_failed_move_brings_the_earlier_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "run", "old")
    fill_disk_at_the_move(monkeypatch)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "run", "new")
    assert written(tmp_path / "run") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_a_symbolic_link_and_its_target_are_left_as_they_are(tmp_path: Path, target: str) -> None:
    write(tmp_path / "there", "old")
    (tmp_path / "run").symlink_to(tmp_path / target)
    for attempt in (lambda: write(tmp_path / "run", "new"), lambda: try_place(tmp_path / "run")):
        with pytest.raises(ValueError, match=f"run is a symbolic link to .*/{target}; name that folder itself"):
            attempt()
    assert written(tmp_path / "there") == {"old"}
    assert (tmp_path / "run").readlink() == tmp_path / target


def test_trying_a_place_changes_nothing(tmp_path: Path) -> None:
    try_place(tmp_path / "a" / "b" / "run")
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "run", "old")
    try_place(tmp_path / "run")
    assert written(tmp_path / "run") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("fsync", errno.ENOSPC, "No space left"),
        ("rename", errno.EBUSY, "mount point, which cannot be replaced"),
        ("rename", errno.EPERM, "not permitted"),
        ("mkdir", errno.EROFS, "Read-only"),
    ],
)
def test_a_place_that_refuses_is_noticed_by_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, message: str
) -> None:
    write(tmp_path / "run", "old")
    with monkeypatch.context() as refusing:
        refusing.setattr(os, call, raising(OSError(code, os.strerror(code))))
        with pytest.raises(OSError, match=message):
            try_place(tmp_path / "run")
    assert written(tmp_path / "run") == {"old"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_reserved_folder_is_for_one_process_and_free_when_it_ends(tmp_path: Path) -> None:
    with reserved(tmp_path / "run") as hidden:
        (hidden / "kept").write_text("state")
        with pytest.raises(ValueError, match=r"another process is training to .*/run; wait for it"), reserved(tmp_path / "run"):
            pass
        with reserved(tmp_path / "other"):
            pass
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        with reserved(tmp_path / "run"):
            os.write(tell, b".")
            signal.pause()
    os.read(ready, 1)
    with pytest.raises(ValueError, match="another process"), reserved(tmp_path / "run"):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with reserved(tmp_path / "run") as hidden:
        assert (hidden / "kept").read_text() == "state"
        (hidden / "kept").unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_a_folder_is_removed_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    for step in range(100):
        folder = tmp_path / str(step) / "run"
        folder.parent.mkdir()
        write(folder, "old")
        was_killed = killed_at(step, lambda folder=folder: remove_whole(folder))
        clear_leftovers(folder)
        assert not folder.exists() or written(folder) == {"old"}
        assert [path.name for path in folder.parent.iterdir()] == (["run"] if folder.exists() else [])
        if not was_killed:
            break
    assert step > 2
    assert not folder.exists()


def test_a_link_is_not_removed(tmp_path: Path) -> None:
    write(tmp_path / "run", "old")
    (tmp_path / "link").symlink_to("run")
    with pytest.raises(ValueError, match="is a symbolic link"):
        remove_whole(tmp_path / "link")
    assert written(tmp_path / "run") == {"old"}
