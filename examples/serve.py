"""Serve a kept run over HTTP with two workers, and ask it: `python examples/serve.py runs/example`."""

from __future__ import annotations

import signal
import subprocess
import sys

from sparcode.runs.store import load_run
from sparcode.service.client import ServiceClient


def main(folder: str = "runs/example") -> None:
    """A service on a free port, two queries in one request, then SIGTERM; the same as `sparcode serve RUN --port 0 --workers 2`."""
    ids = load_run(folder).item_ids
    command = [sys.executable, "-c", "from sparcode.cli import main; main()", "serve", folder, "--port", "0", "--workers", "2"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        # "serving runs/example at http://127.0.0.1:40123 with 2 workers; ..."
        address = server.stdout.readline().split(" at ")[1].split(" with ")[0]
        with ServiceClient(address) as client:
            queries = [ids[:2], ids[5:7]]
            for query, (item_ids, scores) in zip(queries, client.retrieve_batch(queries, k=3, deny=ids[:1]), strict=True):
                found = (f"{item} {score:.3f}" for item, score in zip(item_ids, scores, strict=True))
                print(f"{', '.join(query)}: {', '.join(found)}")
        server.send_signal(signal.SIGTERM)
        print(f"ended with exit code {server.wait()}")
    finally:
        server.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
