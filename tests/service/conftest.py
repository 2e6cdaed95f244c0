from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparcode.index.pruning import Cut
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.store import save_run
from sparcode.service.answers import Answers, Limits
from sparcode.service.processes import bind
from sparcode.service.routes import make_app
from sparcode.service.worker import http_server
from tests.fakes import PATIENCE
from tests.runs.test_store import tiny_run
from tests.tiny import tiny_index, tiny_model

LIMITS = Limits(body_bytes=2_000, queries=5, depth=20)


def tiny_retriever(threshold: float | None = None) -> SparseRetriever:
    return SparseRetriever(tiny_model(), tiny_index(), tiny_model().threshold if threshold is None else threshold, n_threads=1)


def tiny_answers(limits: Limits = LIMITS, make: Callable[[], SparseRetriever] = tiny_retriever) -> Answers:
    return Answers(tiny_run(), make, Cut(tiny_model().threshold), limits)


@contextmanager
def running(answers: Answers) -> Iterator[str]:
    """The application in a thread of this process; its address."""
    bound = bind("127.0.0.1", 0)
    server = http_server(make_app(answers), PATIENCE)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    until = time.monotonic() + PATIENCE
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(tiny_answers()) as address:
        yield address


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kept run; not to be changed."""
    return save_run(tiny_run(), tmp_path_factory.mktemp("served") / "run")
