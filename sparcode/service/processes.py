"""The worker processes of the HTTP service: started, started again when one dies, drained at the end."""

from __future__ import annotations

import ipaddress
import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from sparcode.service.worker import GO, READY, ServiceSettings, run_worker

logger = logging.getLogger(__name__)

# Connections that may wait to be taken.
_BACKLOG = 2048
# After the workers' own time to drain.
_SPARE_SECONDS = 5
_LOOK_SECONDS = 0.5
# Before another worker is started in place of one that could not start: what is missing (memory, a file) may come back.
_PAUSE_SECONDS = 5.0


@dataclass(eq=False)
class Worker:
    """A worker process, the connection over which it says that it is ready, and how far it is; closing the connection stops it."""

    process: BaseProcess
    connection: Connection
    is_ready: bool = False
    is_serving: bool = False

    def hear(self) -> None:
        """Take its word that it is ready; a worker that ends without a word is found by its process."""
        if not self.is_ready and self.connection.poll():
            try:
                self.is_ready = self.connection.recv() == READY
            except (EOFError, OSError):
                # It takes no more than a moment from here to the end of the process.
                self.process.join(_SPARE_SECONDS)
                self.process.kill()

    def let_serve(self) -> None:
        """Send it off; one that has died meanwhile is found by its process."""
        try:
            self.connection.send(GO)
            self.is_serving = True
        except OSError:
            self.process.join(_SPARE_SECONDS)
            self.process.kill()

    def ending(self) -> str:
        """How a worker that has died ended, in words."""
        code, at = self.process.exitcode, "" if self.is_serving else " before it served" if self.is_ready else " before it was ready"
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with code {code}"
        return f"worker {self.process.pid} ended {how}{at}"


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

    `on_ready` is called when every worker is warm; until then none takes a connection. A worker that dies later is replaced, after a pause
    where its replacement could not start. RuntimeError if one of the first workers cannot start, or if later none is left and none can be
    started.
    """
    workers: list[Worker] = []
    try:
        for _ in range(n_workers):
            workers.append(_start(settings, bound))
        while not all(worker.is_ready for worker in workers):
            _listen(workers)
            _refuse_dead(workers)
        for worker in workers:
            worker.let_serve()
        _refuse_dead(workers)
        on_ready()
        _replace_dead(workers, n_workers, lambda: _start(settings, bound))
    except KeyboardInterrupt:
        return
    finally:
        bound.close()
        _stop(workers, settings.drain_seconds)


def _listen(workers: list[Worker]) -> None:
    """Wait a moment for a worker to be ready or to die."""
    loading = [worker for worker in workers if not worker.is_ready]
    wait([*(worker.process.sentinel for worker in workers), *(worker.connection for worker in loading)], timeout=_LOOK_SECONDS)
    for worker in loading:
        worker.hear()


def _refuse_dead(workers: list[Worker]) -> None:
    for worker in workers:
        if not worker.process.is_alive():
            raise RuntimeError(worker.ending())


def _replace_dead(workers: list[Worker], n_workers: int, start: Callable[[], Worker]) -> None:
    """Keep so many workers; returns never. RuntimeError when none is left and the last one started never served."""
    next_start = time.monotonic()
    while True:
        _listen(workers)
        for worker in [worker for worker in workers if not worker.process.is_alive()]:
            workers.remove(worker)
            worker.connection.close()
            if not worker.is_serving:
                if not workers:
                    raise RuntimeError(f"{worker.ending()}, and no other is left")
                next_start = time.monotonic() + _PAUSE_SECONDS
            logger.warning("%s and is %s", worker.ending(), "replaced" if worker.is_serving else f"replaced in {_PAUSE_SECONDS:g} seconds")
        for worker in workers:
            if worker.is_ready and not worker.is_serving:
                worker.let_serve()
        while len(workers) < n_workers and (not workers or time.monotonic() >= next_start):
            try:
                workers.append(start())
            except OSError as error:
                if not workers:
                    raise RuntimeError(f"no worker is left and none can be started: {error}") from error
                next_start = time.monotonic() + _PAUSE_SECONDS
                logger.warning("no worker can be started: %s; tried again in %g seconds", error, _PAUSE_SECONDS)


def _start(settings: ServiceSettings, bound: socket.socket) -> Worker:
    # Not forked: threads of PyTorch and of compiled loops do not survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=run_worker, args=(settings, bound, theirs), name="sparcode-worker")
    process.start()
    theirs.close()
    return Worker(process, ours)


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
