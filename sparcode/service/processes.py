"""The worker processes of the HTTP service: started, started again when one dies, drained at the end."""

from __future__ import annotations

import ipaddress
import logging
import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from sparcode.service.worker import GO, READY, ServiceSettings, run_worker

logger = logging.getLogger(__name__)

# Connections that may wait to be taken.
_BACKLOG = 2048
# After the workers' own time to drain.
_SPARE_SECONDS = 5
_LOOK_SECONDS = 0.5


class Worker(NamedTuple):
    """A worker process, and the connection over which it says that it is ready; closing it stops the worker."""

    process: BaseProcess
    connection: Connection


def bind(host: str, port: int) -> socket.socket:
    """A listening socket at a numeric address (port 0: any free one); connections wait for workers. ValueError if it cannot be had."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        # A name would be looked up on the network.
        raise ValueError(f"the address to listen on must be a number, such as 127.0.0.1 or ::1; got {host!r}") from None
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # Here rather than in a worker: two sockets may bind to one port, but only one can listen.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise ValueError(f"{host} port {port} cannot be listened on: {error.strerror or error}") from error
    return bound


def serve_processes(settings: ServiceSettings, bound: socket.socket, n_workers: int, on_ready: Callable[[], None]) -> None:
    """Serve until KeyboardInterrupt, then drain: no new connections, running requests are answered.

    `on_ready` is called when every worker is warm; until then none takes a connection. A worker that dies is started again. RuntimeError
    if one cannot start.
    """
    workers: list[Worker] = []
    try:
        for _ in range(n_workers):
            workers.append(_start(settings, bound))
        for worker in workers:
            _await_ready(worker)
        for worker in workers:
            worker.connection.send(GO)
        on_ready()
        while True:
            wait([worker.process.sentinel for worker in workers], timeout=_LOOK_SECONDS)
            for place, worker in enumerate(workers):
                if not worker.process.is_alive():
                    logger.warning("worker %d ended with code %s and is started again", worker.process.pid, worker.process.exitcode)
                    worker.connection.close()
                    workers[place] = _start(settings, bound)
                    _await_ready(workers[place])
                    workers[place].connection.send(GO)
    except KeyboardInterrupt:
        return
    finally:
        bound.close()
        _stop(workers, settings.drain_seconds)


def _start(settings: ServiceSettings, bound: socket.socket) -> Worker:
    # Not forked: threads of PyTorch and of compiled loops do not survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run_worker, args=(settings, bound, theirs), name="sparcode-worker")
    process.start()
    theirs.close()
    return Worker(process, ours)


def _await_ready(worker: Worker) -> None:
    try:
        ready = worker.connection.recv() == READY
    except (EOFError, OSError):
        ready = False
    if not ready:
        worker.process.join()
        raise RuntimeError(f"a worker ended with code {worker.process.exitcode} before it was ready")


def _stop(workers: list[Worker], drain_seconds: int) -> None:
    for worker in workers:
        if worker.process.is_alive():
            worker.process.terminate()
        worker.connection.close()
    until = time.monotonic() + drain_seconds + _SPARE_SECONDS
    try:
        for worker in workers:
            worker.process.join(max(0.0, until - time.monotonic()))
    finally:
        # Those that took too long, and all of them on a second signal.
        for worker in workers:
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
