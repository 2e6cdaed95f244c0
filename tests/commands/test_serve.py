"""The service as a command: real worker processes, drained by SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparcode.data.interactions import Histories
from sparcode.runs.store import Run, load_run
from sparcode.service.client import ServiceClient
from sparcode.service.worker import ServiceSettings
from sparcode.training.pipeline import serve as served
from tests.commands.conftest import Output
from tests.fakes import PATIENCE

COMMAND = (sys.executable, "-c", "from sparcode.cli import main; main()", "serve")


@contextmanager
def service(run: Path, *more: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """`sparcode serve` on a free port, and its address once it is ready."""
    server = subprocess.Popen([*COMMAND, str(run), "--port", "0", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        told = server.stdout.readline()
        assert told.startswith(f"serving {run} at http://127.0.0.1:"), told + server.stderr.read()
        yield server, told.split(" at ")[1].split(" with ")[0]
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def children(server: subprocess.Popen) -> list[int]:
    """Worker processes."""
    listed = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(server.pid)], capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "spawn_main" in line]


def refuses(host: str, port: int) -> bool:
    """Whether new connections are refused, at once or soon."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection((host, port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            # It had waited to be taken.
            continue
    return False


def test_workers_answer_as_the_library_count_together_and_drain(kept_run: Path) -> None:
    run = load_run(kept_run)
    config = run.config.index.model_copy(update={"postings": "quantized"})
    histories = [[item, (7 * item + 1) % 80] for item in range(80)]
    found = served(run.model, run.index, config).retrieve(Histories.from_lists(histories, 80), 10)
    expected = {
        row: ([str(i) for i in found.item_ids[row] if i >= 0], found.scores[row][found.item_ids[row] >= 0].tolist()) for row in range(80)
    }
    answers: dict[int, tuple] = {}

    def ask(rows: range) -> None:
        with ServiceClient(address) as client:
            answers.update({row: client.retrieve([str(item) for item in histories[row]]) for row in rows})

    with service(kept_run, "--workers", "2", "--postings", "quantized") as (server, address):
        threads = [threading.Thread(target=ask, args=(range(part, 80, 8),)) for part in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert answers == expected
        # Processes are started meanwhile.
        with ServiceClient(address, timeout=4 * PATIENCE) as client:
            assert "sparcode_queries_total 80.0" in client.metrics().splitlines()
            # A worker that died is replaced, and what it counted stays.
            dead = children(server)
            assert len(dead) == 2
            for worker in dead:
                os.kill(worker, signal.SIGKILL)
            client.close()
            assert client.retrieve(["3", "22"])[0] == expected[3][0]
            assert "sparcode_queries_total 81.0" in client.metrics().splitlines()

        # A request that has begun is answered; new connections are refused.
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps({"items": ["3", "22"]})
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as begun:
            headers = ("host: x", "content-type: application/json", f"content-length: {len(body)}", "expect: 100-continue")
            begun.sendall("\r\n".join(("POST /retrieve HTTP/1.1", *headers, "", "")).encode())
            # Sent once the service waits for the body.
            assert begun.recv(65536).startswith(b"HTTP/1.1 100 ")
            server.send_signal(signal.SIGTERM)
            assert refuses(host, int(port))
            begun.sendall(body.encode())
            answer = b"".join(iter(lambda: begun.recv(65536), b""))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["results"][0]["item_ids"] == expected[3][0]
        assert server.wait(PATIENCE) == 0
        assert server.stdout.read() == "the service has ended\n"


def test_the_parent_of_the_workers_has_no_run_in_memory(output: Output, kept_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, told = [], []

    def load(folder: Path, **more: bool) -> Run:
        run = load_run(folder, **more)
        loaded.extend(weakref.ref(part) for part in (run, run.model, run.index))
        return run

    def serve(settings: ServiceSettings, bound: socket.socket, n_workers: int, on_ready: Callable[[], None]) -> None:
        bound.close()
        assert [part() for part in loaded] == [None] * 3
        told.append((settings.run, settings.drain_seconds, n_workers))

    monkeypatch.setattr("sparcode.runs.store.load_run", load)
    monkeypatch.setattr("sparcode.service.processes.serve_processes", serve)
    output("serve", kept_run, "--port", 0, "--workers", 3, "--drain-seconds", 7)
    assert told == [(kept_run, 7, 3)]


def test_bad_usage_is_refused(refused: Output, kept_run: Path, tmp_path: Path) -> None:
    assert "is not a run folder" in refused("serve", tmp_path)
    assert "cannot serve a lower threshold" in refused("serve", kept_run, "--threshold", -1000)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1 port {port} cannot be listened on" in refused("serve", kept_run, "--port", port)
    for seconds in (-1, 3601):
        assert "Invalid value for '--drain-seconds'" in refused("serve", kept_run, "--drain-seconds", seconds)
    assert "must be a number, such as 127.0.0.1 or ::1; got 'localhost'" in refused("serve", kept_run, "--host", "localhost")
