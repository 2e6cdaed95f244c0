"""One client of `benchmarks/service.py`, a process of its own that imports little: asks its share of the queries, then checks every answer.

    python -m benchmarks.service_client ADDRESS FOLDER NUMBER N_CLIENTS

The folder holds `queries.json` and, as the library answers them, `item_ids.npy` and `scores.npy`. Prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from sparcode.service.client import ServiceClient


def ask(address: str, folder: Path, number: int, n_clients: int) -> dict:
    """Nanoseconds of each request, and how many answers differ from the library's."""
    queries = json.loads((folder / "queries.json").read_text())[number::n_clients]
    item_ids, scores = (np.load(folder / f"{name}.npy", mmap_mode="r")[number::n_clients] for name in ("item_ids", "scores"))
    answers, taken, k = [], [], item_ids.shape[1]
    with ServiceClient(address) as client:
        client.health()
        for query in queries:
            started = time.perf_counter_ns()
            answer = client.retrieve(query, k)
            taken.append(time.perf_counter_ns() - started)
            answers.append(answer)
    wrong = 0
    for (found, found_scores), expected, expected_scores in zip(answers, item_ids, scores, strict=True):
        n = int(np.count_nonzero(expected >= 0))
        same = [int(item_id) for item_id in found] == expected[:n].tolist() and found_scores == expected_scores[:n].tolist()
        wrong += not same
    return {"taken_ns": taken, "wrong": wrong}


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
