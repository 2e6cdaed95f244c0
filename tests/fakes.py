"""Small stand-ins: models whose answers are written down in a table, made-up measurements, functions that wait or fail."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from sparcode.comparison.measuring import Band, Measurement
from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Histories

# Only broken code lets a wait take this long.
PATIENCE = 30


class TableModel:
    """A coded model whose scores are a table; a query's codes are its items (modulo the number of codes), each of weight 1.

    Queries of different lengths are filled up with code 0 of weight 0.
    """

    def __init__(self, table: np.ndarray, vectors: np.ndarray | None = None) -> None:
        self.table = np.asarray(table, dtype=np.float32)
        self.vectors = np.arange(len(self.table), dtype=np.float32)[:, None] if vectors is None else vectors
        self.n_items = self.table.shape[1]
        self.scored: list[np.ndarray] = []

    def encode(self, queries: Histories) -> tuple[np.ndarray, np.ndarray]:
        width = int(max(queries.lengths, default=0))
        codes = np.zeros((len(queries), width), dtype=np.int64)
        weights = np.zeros((len(queries), width), dtype=np.float32)
        for row in range(len(queries)):
            items = queries[row]
            codes[row, : len(items)] = items % len(self.table)
            weights[row, : len(items)] = 1
        return codes, weights

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        self.scored.append(codes)
        return self.table[codes]

    def code_vectors(self, codes: np.ndarray) -> np.ndarray:
        return self.vectors[codes]


class VectorTable:
    """A vector model: a query is the mean of its items' vectors, the zero vector if it has none."""

    def __init__(self, items: np.ndarray) -> None:
        self.items = np.asarray(items, dtype=np.float32)
        self.n_items = len(items)

    def query_vectors(self, queries: Histories) -> np.ndarray:
        rows = [
            self.items[queries[row]].mean(axis=0) if len(queries[row]) else np.zeros(self.items.shape[1]) for row in range(len(queries))
        ]
        return np.array(rows, dtype=np.float32).reshape(len(queries), self.items.shape[1])

    def item_vectors(self) -> np.ndarray:
        return self.items

    def score(self, queries: Histories) -> np.ndarray:
        return self.query_vectors(queries) @ self.items.T


def tied_table(seed: int, n_codes: int = 7, n_items: int = 11) -> np.ndarray:
    """(n_codes, n_items) float32 with many ties, -inf and negative zeros."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-4, 5, size=(n_codes, n_items)).astype(np.float32) / 2
    table[rng.random(table.shape) < 0.1] = -np.inf
    table[rng.random(table.shape) < 0.1] = -0.0
    return table


def checkerboard(n_items: int) -> np.ndarray:
    """(I, I) float32: 1 where both items are even or both are odd, else -1."""
    sides = 1 - 2 * (np.arange(n_items) % 2)
    return np.outer(sides, sides).astype(np.float32)


def checkerboard_queries(n_items: int) -> tuple[Histories, np.ndarray]:
    """For every item a user who has all others of its colour: the one item that is left is certain."""
    rows = [[other for other in range(item % 2, n_items, 2) if other != item] for item in range(n_items)]
    return Histories.from_lists(rows, n_items), np.arange(n_items)


def served(name: str, setting: str, recall: float, milliseconds: float, size_bytes: int = 1_000_000, spread: float = 0.0) -> Measurement:
    """A timed point: every query has the same recall, half of them a little more and half a little less than `recall` by `spread`."""
    by_query = np.full(100, recall)
    by_query[::2] += spread
    by_query[1::2] -= spread
    p50, p95 = (Band(value, 0.95 * value, 1.05 * value) for value in (milliseconds, 2 * milliseconds))
    accuracy = (recall, recall / 2, recall / 4, DEFAULT_K, 100)
    return Measurement(name, setting, *accuracy, size_bytes, p50, p95, 100, 5, recall_by_query=by_query)


def gated(work: Callable[..., Any], opened: threading.Event) -> Callable[..., Any]:
    """A function that waits for the event before it works."""

    def held(*arguments: object) -> Any:
        assert opened.wait(PATIENCE)
        return work(*arguments)

    return held


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A function of any arguments that fails."""

    def fail(*arguments: object, **named: object) -> NoReturn:
        raise error

    return fail


# Steps at which a writing process is killed: everything that changes the file system.
_STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def killed_at(step: int, write: Callable[[], object]) -> bool:
    """Write in a child process that is killed at its n-th step; False if it came to its end before."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = step

    def kill(event: str, arguments: object) -> None:
        nonlocal left
        if event in _STEPS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    write()
    os._exit(0)


def fill_disk_at_the_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moving a new folder into its place fails from now on."""
    move = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(source).name == "new":
            raise OSError("disk full")
        move(source, target)

    monkeypatch.setattr(os, "replace", replace)
