"""One worker process of the HTTP service: loads a run with its index mapped, warms up, answers until it is told to stop."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sparcode.index.pruning import Cut
from sparcode.index.storage import load_index
from sparcode.retrieval.list_store import Unseen
from sparcode.retrieval.sparse import SparseRetriever
from sparcode.runs.store import load_run
from sparcode.service.answers import Answers, Limits

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

READY, GO = "ready", "go"
# Seconds that an idle connection is kept, longer than most clients keep theirs.
KEEP_ALIVE_SECONDS = 75


class ServiceSettings(NamedTuple):
    """What all workers of a service share.

    Attributes
    ----------
    run, run_id
        Folder of the run, and its id: a worker that is started again must not serve another run that has taken its place.
    blocks
        Folder of the index in blocks, made once for all workers; None: the run's own lists are served.
    counts
        Folder in which workers keep what they count.
    cut, unseen
        What of the index counts, and what becomes of codes without a list.
    drain_seconds
        Time that running requests have after the signal to stop.
    """

    run: Path
    run_id: str
    blocks: Path | None
    counts: Path
    cut: Cut
    unseen: Unseen
    limits: Limits
    drain_seconds: int


def load_answers(settings: ServiceSettings) -> Answers:
    """Load the run with its index mapped, so that all workers share its pages. ValueError if it cannot be read or is another run."""
    run = load_run(settings.run, mmap=True)
    if run.run_id != settings.run_id:
        raise ValueError(f"{settings.run} holds the run {run.run_id} now; {settings.run_id} is being served")
    index = run.index if settings.blocks is None else load_index(settings.blocks, mmap=True)

    def make() -> SparseRetriever:
        # A worker is one thread: more requests at once than processors are what more workers are for.
        return SparseRetriever(run.model, index, settings.cut, settings.unseen, n_threads=1)

    return Answers(run, make, settings.cut, settings.limits)


def http_server(app: Starlette, drain_seconds: int) -> uvicorn.Server:
    """A server of HTTP/1.1 alone that gives up on headers of which it has 64 KiB and no end."""
    import uvicorn

    config = uvicorn.Config(
        app,
        # Not left to what is installed: httptools sets no limit on headers.
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
    )
    return uvicorn.Server(config)


def run_worker(settings: ServiceSettings, listening: socket.socket, parent: Connection) -> None:
    """A worker's whole life; `READY` is sent to the parent when it is warm, and it serves once `GO` comes back."""
    # prometheus_client reads the variable when it is imported.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(settings.counts)
    import torch

    from sparcode.service.routes import make_app

    torch.set_num_threads(1)
    # Ctrl-C in a terminal reaches workers too; the parent tells them when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        answers = load_answers(settings)
        answers.warm()
    except (ValueError, OSError, MemoryError) as error:
        print(f"error: a worker could not start: {error}", file=sys.stderr)
        sys.exit(1)
    server = http_server(make_app(answers), settings.drain_seconds)
    try:
        parent.send(READY)
        parent.recv()
    except (EOFError, OSError):
        return
    threading.Thread(target=_stop_with_parent, args=(parent, server), daemon=True).start()
    # uvicorn drains on SIGTERM, then raises it again for whoever handled it before: nobody, so that the exit code is 0.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.run(sockets=[listening])


def _stop_with_parent(parent: Connection, server: object) -> None:
    """Drain when the parent has ended, however it did."""
    try:
        parent.recv()
    except (EOFError, OSError):
        server.should_exit = True
