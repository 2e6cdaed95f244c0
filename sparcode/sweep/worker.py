"""A process that runs trials, started as ``python -m sparcode.sweep.worker``: requests come in, and answers go out, as lines of JSON."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from sparcode.sweep.request import TrialRequest


def main() -> None:
    """Answer requests until standard input ends, which it does when the process that asks has ended, however."""
    # Sent to all processes of a service that stops: a trial under way has not failed, and this process ends with the one that asks.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Where memory runs out, it is to be the trial that ends, not the studio or the sweep.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Whatever a library prints must not stand between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        answers.write(json.dumps(_answer(json.loads(requests.get()))) + "\n")
        answers.flush()


def _read(requests: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        requests.put(line)
    # Also in the middle of a trial: its files are written whole or not at all.
    os._exit(0)


def _answer(values: dict[str, Any]) -> dict[str, Any]:
    from sparcode.sweep.trial import run_trial

    try:
        return {"done": run_trial(TrialRequest(**values))}
    except Exception as error:  # told to the process that asks, in words
        return {"error": str(error) or type(error).__name__}


if __name__ == "__main__":
    main()
