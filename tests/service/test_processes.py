"""The parent of the service's workers, with processes that live and die as they are told."""

from __future__ import annotations

import logging
import multiprocessing
import re
from pathlib import Path

import pytest

from sparcode.service import processes
from sparcode.service.processes import bind, serve_processes
from tests.fakes import raising
from tests.service import workers
from tests.service.workers import Story

pytestmark = pytest.mark.usefixtures("plain_main")


def ending(monkeypatch: pytest.MonkeyPatch, folder: Path, *lives: str) -> tuple[str, int, bool]:
    """Why a service of two workers ended, how many were started, and whether it ever was ready."""
    monkeypatch.setattr(processes, "run_worker", workers.live)
    monkeypatch.setattr(processes, "_PAUSE_SECONDS", 0.05)
    story, was_ready = Story(folder, lives), []
    with pytest.raises(RuntimeError) as error:
        serve_processes(story, bind("127.0.0.1", 0), 2, lambda: was_ready.append(True))
    return str(error.value), story.starts(), was_ready == [True]


def test_a_replacement_that_cannot_start_is_tried_again_while_another_serves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    why, starts, was_ready = ending(monkeypatch, tmp_path, "dies", "lives", "fails", "fails", "ends it all")
    assert was_ready
    assert re.fullmatch(r"worker \d+ ended with code 1 before it was ready, and no other is left", why)
    assert starts >= 6
    told = [re.sub(r"\d+", "N", message, count=1) for message in caplog.messages]
    assert told[:3] == [
        "worker N ended with code 3 and is replaced",
        *["worker N ended with code 1 before it was ready and is replaced in 0.05 seconds"] * 2,
    ]


def test_a_worker_is_replaced_while_another_is_still_loading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    why, starts, _ = ending(monkeypatch, tmp_path, "dies", "dies with a third", "loads until the end", "ends it all")
    assert "no other is left" in why
    assert starts >= 5


def test_a_worker_that_dies_between_ready_and_its_start_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    why, _, was_ready = ending(monkeypatch, tmp_path, "leaves when ready", "loads until the end")
    assert re.fullmatch(r"worker \d+ ended with code 7 before it served", why)
    assert not was_ready


def test_an_interrupt_ends_all_workers_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "run_worker", workers.live)
    bound = bind("127.0.0.1", 0)
    serve_processes(Story(tmp_path, ("lives",)), bound, 1, raising(KeyboardInterrupt()))
    assert bound.fileno() == -1
    assert not multiprocessing.active_children()
