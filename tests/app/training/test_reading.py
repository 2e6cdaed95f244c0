"""Files of strangers are read in a process of their own: what it may take, and what ends it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from app.training import reading
from app.training.reader import ANSWER, ReadFile, Request, read_answer, read_file, write_answer
from app.training.reading import MEMORY_BYTES, SECONDS, FileReader
from scripts.soak.bombs import BOMBS
from scripts.soak.inputs import formats
from sparcode.config import SplitConfig
from sparcode.data.limits import UPLOADS
from sparcode.data.split import EvaluationSet
from tests.tiny import CONFIG

needs_linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux bounds the memory of a process")
FEATURES = SplitConfig(min_history=2)


def request(name: str, config: SplitConfig = CONFIG.split) -> Request:
    return Request(name, config, UPLOADS, MEMORY_BYTES, SECONDS)


def assert_same(one: ReadFile, other: ReadFile) -> None:
    assert one._replace(split=None, interactions=None) == other._replace(split=None, interactions=None)
    assert one.interactions.content_hash() == other.interactions.content_hash()
    for name in ("name", "has_time", "dropped", "synthetic"):
        assert getattr(one.interactions, name) == getattr(other.interactions, name)
    assert [str(item_id) for item_id in other.interactions.item_ids] == one.interactions.item_ids.tolist()
    assert one.interactions.items["title"].tolist() == other.interactions.items["title"].tolist()
    # Who the users are stays with the reader.
    assert one.interactions.user_ids.tolist() == list(range(other.interactions.n_users))
    for name, ours, theirs in zip(one.split._fields, one.split, other.split, strict=True):
        pairs = [(ours, theirs)]
        if isinstance(ours, EvaluationSet):
            assert ours.protocol == theirs.protocol
            pairs = [(getattr(ours, part), getattr(theirs, part)) for part in ("queries", "targets", "users")]
        for mine, its in pairs:
            if hasattr(mine, "indptr"):
                assert mine.n_items == its.n_items
                pairs += [(getattr(mine, part), getattr(its, part)) for part in ("indptr", "items", "features")]
            elif isinstance(mine, np.ndarray):
                np.testing.assert_array_equal(mine, its, strict=True, err_msg=name)
            else:
                assert mine == its


@pytest.mark.parametrize("kind", ["MovieLens zip of method 8", "csv", "parquet"])
def test_an_answer_tells_all_that_was_read(kind: str, tmp_path: Path) -> None:
    valid = formats()[kind]
    found = read_file(valid.content, request("a.zip" if valid.members else f"a.{kind}", FEATURES))
    write_answer(tmp_path, found)
    assert_same(read_answer(tmp_path), found)
    assert (found.split.user_encoding is not None) == (valid.members is not None)


def test_a_request_is_read_as_it_was_written(tmp_path: Path) -> None:
    request("ä.csv").write(tmp_path)
    assert Request.read(tmp_path) == request("ä.csv")


def test_a_file_read_in_a_process_is_what_is_read_here(tiny_table: Path) -> None:
    found = FileReader(CONFIG.split).read("mine.csv", tiny_table.read_bytes(), lambda: True)
    assert_same(found, read_file(tiny_table.read_bytes(), request("mine.csv")))


REFUSALS = {
    "unpacks to much": r"u\.data has .* bytes once unpacked; at most 134,217,728 are read",
    "too many rows": r"u\.data has .* or more rows; at most 5,000,000 are read",
    "one large text": "has 1,048,576 bytes in one cell or line; at most 65,536 are read",
    "many columns": "has 80,002 columns; at most 1,000 are read",
}


@needs_linux
@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_within_the_memory(kind: str, tmp_path: Path) -> None:
    content = BOMBS[kind].make()
    assert len(content) < UPLOADS.file_bytes / 10
    with pytest.raises(ValueError, match=REFUSALS[kind]):
        FileReader(CONFIG.split)._read_in(tmp_path, request(BOMBS[kind].name), content, lambda: True)
    told = json.loads((tmp_path / ANSWER).read_text())
    assert 0 < told["peak_bytes"] - told["start_bytes"] < MEMORY_BYTES < 500 * 10**6


@needs_linux
def test_a_file_that_takes_more_memory_is_refused_by_the_limit() -> None:
    # Cells that are no larger than allowed, and take many times that once they are cut into genres.
    content = b"user,item,genres\n" + b"".join(b"%d,%d,%s\n" % (row % 9, row, b"|" * 60_000) for row in range(300))
    with pytest.raises(ValueError, match="reading it takes more than 64 MB of memory, the most for one file"):
        FileReader(CONFIG.split, memory_bytes=64 * 2**20).read("a.csv", content, lambda: True)


class Sleeper:
    """A reader's process that never answers, and what its end is told by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str = "import time; time.sleep(600)") -> None:
        self.processes: list[reading.subprocess.Popen[bytes]] = []
        start = reading.subprocess.Popen

        def popen(command: list[str], **options: object) -> object:
            self.processes.append(start([sys.executable, "-S", "-c", code], **options))
            return self.processes[-1]

        monkeypatch.setattr(reading.subprocess, "Popen", popen)

    @property
    def is_over(self) -> bool:
        return all(process.returncode is not None for process in self.processes)


def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_the_deadline_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, sleeper = folders(tmp_path, monkeypatch), Sleeper(monkeypatch)
    with pytest.raises(ValueError, match=r"reading it takes more than 0\.2 seconds, the most for one file"):
        FileReader(CONFIG.split, seconds=0.2).read("a.csv", b"", lambda: True)
    assert len(sleeper.processes) == 1
    assert sleeper.is_over
    assert not os.listdir(place)


def test_a_closed_tab_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, sleeper = folders(tmp_path, monkeypatch), Sleeper(monkeypatch)
    with pytest.raises(ValueError, match="its tab or the studio was closed"):
        FileReader(CONFIG.split).read("a.csv", b"", lambda: not sleeper.processes)
    assert sleeper.is_over
    assert not os.listdir(place)


def test_what_a_page_raises_while_it_waits_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, sleeper = folders(tmp_path, monkeypatch), Sleeper(monkeypatch)

    def moves_on() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FileReader(CONFIG.split).read("a.csv", b"", moves_on)
    assert sleeper.is_over
    assert not os.listdir(place)


def test_a_closed_studio_ends_the_process_and_starts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeper, reader = Sleeper(monkeypatch), FileReader(CONFIG.split)

    def closes() -> bool:
        reader.close()
        return True

    for _ in range(2):
        with pytest.raises(ValueError, match="its tab or the studio was closed"):
            reader.read("a.csv", b"", closes)
    assert sleeper.is_over


def test_a_process_that_dies_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    Sleeper(monkeypatch, "import os; os.abort()")
    with pytest.raises(ValueError, match="it is damaged, or reading it takes more than 470 MB of memory"):
        FileReader(CONFIG.split).read("a.csv", b"", lambda: True)
    assert "ended with status -6" in caplog.text


def test_others_wait_for_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FileReader(CONFIG.split)
    monkeypatch.setattr(reading, "WAITING_SECONDS", 0.1)
    for _ in range(reading.AT_ONCE):
        assert reader._turn.acquire(blocking=False)
    with pytest.raises(ValueError, match="other files are being read; try again in a minute"):
        reader.read("a.csv", b"", lambda: True)
