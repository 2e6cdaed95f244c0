"""Where trials run: in processes of this machine, or on a Dask cluster by the address of its scheduler."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from sparcode.sweep.request import TrialRequest

_ROOT: Final = Path(__file__).resolve().parents[2]
_CONNECT_SECONDS: Final = 20
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerDied(RuntimeError):
    """The process of a trial ended before the trial did."""


class Executor(Protocol):
    """What runs trials, `sparcode.sweep.trial.run_trial` or another function of a request.

    `threads` are the processor threads of each; 0: as the workers were started.
    """

    threads: int

    @property
    def n_workers(self) -> int:
        """Trials that can run at once, now; may change."""
        ...

    def submit(self, request: TrialRequest) -> Future[bool]:
        """Run a trial, as soon as a worker is free; the future gives what the function returns, or raises what it raised."""
        ...

    def close(self) -> None:
        """End the workers at once, if they are this executor's own; trials under way are abandoned."""
        ...


class Processes:
    """Trials in processes of this machine, each of which stays for the next trial; one that dies is replaced.

    A worker reads requests and writes answers as lines of JSON, and ends as soon as this process does.

    Parameters
    ----------
    n_workers
        Processes; they start with the first trials.
    threads
        Processor threads of each; 0: the machine's processors divided among them.
    """

    def __init__(self, n_workers: int = 0, threads: int = 0) -> None:
        processors = os.cpu_count() or 1
        self.n_workers = n_workers or processors
        self.threads = threads or max(1, processors // self.n_workers)
        self._closed = False
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(self.n_workers, "sweep")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def submit(self, request: TrialRequest) -> Future[bool]:
        """See `Executor`."""
        return self._threads.submit(self._run, request)

    def close(self) -> None:
        """See `Executor`."""
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, request: TrialRequest) -> bool:
        worker = self._worker()
        try:
            answer = worker.ask(request)
        except WorkerDied:
            with self._lock:
                self._workers.discard(worker)
            raise
        self._idle.put(worker)
        if "error" in answer:
            raise ValueError(answer["error"])
        return bool(answer["done"])

    def _worker(self) -> _Worker:
        with suppress(queue.Empty):
            return self._idle.get_nowait()
        with self._lock:
            if self._closed:
                raise WorkerDied("the sweep has ended")
            worker = _Worker(self.threads)
            self._workers.add(worker)
            return worker


class _Worker:
    """One process that runs trials, one after the other."""

    def __init__(self, threads: int) -> None:
        paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        variables = {
            **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            # Threads that wait by spinning slow each other down many times over on a busy machine.
            "OMP_WAIT_POLICY": "PASSIVE",
            # Freed memory stays in the process, as `sparcode.commands.process.keep_freed_memory` has it; the GNU C library reads these.
            "MALLOC_MMAP_MAX_": "0",
            "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sparcode.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
            text=True,
            # Ctrl-C in a terminal goes to the whole group; the sweep's own process ends its workers.
            start_new_session=True,
        )

    def ask(self, request: TrialRequest) -> dict[str, Any]:
        """The worker's answer to a request; WorkerDied, with the reason, if it ends without one."""
        try:
            self._process.stdin.write(json.dumps(request._asdict()) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if line.endswith("\n"):
            return json.loads(line)
        self.kill()
        code = self._process.wait()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = ", as happens where memory runs out" if code == -signal.SIGKILL else ""
        raise WorkerDied(f"the process of the trial was {how}{memory}" if code < 0 else f"the process of the trial {how}")

    def kill(self) -> None:
        """End the process, and wait for its end."""
        with suppress(OSError):
            self._process.stdin.close()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


class DaskCluster:
    """Trials on the workers of a Dask cluster; they must see the sweep's folder, and data that it does not keep, under the same paths.

    ValueError if Dask is not installed, or there is no scheduler, or no worker, at the address within 20 seconds.
    """

    threads = 0

    def __init__(self, scheduler: str) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise ValueError("--scheduler needs Dask; install it: pip install 'sparcode[cluster]'") from error
        try:
            self._client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            problem = f"no Dask scheduler answers there ({error}); give its address as tcp://HOST:PORT"
            raise ValueError(f"--scheduler {scheduler}: {problem}") from error
        try:
            self._client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except TimeoutError as error:
            self._client.close()
            raise ValueError(f"--scheduler {scheduler}: the cluster has no workers") from error
        self._executor = self._client.get_executor(pure=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def n_workers(self) -> int:
        """Worker processes of the cluster."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def submit(self, request: TrialRequest) -> Future[bool]:
        """See `Executor`."""
        return self._executor.submit(_run_on_cluster, tuple(request))

    def close(self) -> None:
        """See `Executor`; the cluster stays, and its trials end when they see that their session is over."""
        self._client.close()


def _run_on_cluster(values: tuple[Any, ...]) -> bool:
    # Imported on the worker: the process that runs the sweep needs no networks.
    from sparcode.sweep.trial import run_trial

    return run_trial(TrialRequest(*values))
