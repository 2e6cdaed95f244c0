"""Sweeps without training: records whose figures are a formula, and an executor that makes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from sparcode.config import RunConfig, SweepConfig
from sparcode.data.facts import DataFacts
from sparcode.sweep.definition import Definition, SweepData, write_definition
from sparcode.sweep.record import CurvePoint, Epoch, TrialRecord, write_record
from sparcode.sweep.request import TrialRequest
from sparcode.sweep.space import Params, parse_space

FACTS = DataFacts("planted", "0" * 16, True, 100, 80, 1000)
SPACE = ("codebook_size=16,32,64,128", "n_nearest=1,2,4", "joint_learning_rate=0.001,0.002")


def definition(texts: tuple[str, ...] = SPACE, seed: int = 0, **search: object) -> Definition:
    """A sweep over planted figures."""
    data = SweepData(facts=FACTS, flags="--synthetic-n-users 100")
    return Definition(data=data, config=RunConfig(), space=parse_space(texts), search=SweepConfig(**search), seed=seed)


def planted_folder(folder: Path, *given: object, **named: object) -> Path:
    """A sweep's folder without data."""
    folder.mkdir()
    write_definition(folder, definition(*given, **named))
    return folder


def curve(params: Params) -> tuple[CurvePoint, ...]:
    """Recall grows with K and a little with P, and not with the rate; bytes with K and the share kept, latency with P."""
    size, nearest = params.get("quantizer.codebook_size", 16), params.get("quantizer.n_nearest", 1)
    top = 0.5 + 0.05 * math.log2(size / 16) + 0.01 * math.log2(nearest)
    return tuple(
        CurvePoint(
            threshold=1 - share,
            recall=top * recall,
            ndcg=top / 2 * recall,
            p50_ms=0.01 * nearest,
            size_bytes=round(100 * size * share),
            is_own=share == 0.5,
        )
        for share, recall in ((1.0, 1.0), (0.5, 0.995), (0.25, 0.9))
    )


def planted_record(number: int, params: Params) -> TrialRecord:
    """A complete trial."""
    points = curve(params)
    epochs = tuple(Epoch(epoch=epoch, recall=points[0].recall * (0.9 + 0.05 * epoch)) for epoch in range(3))
    return TrialRecord(
        number=number, state="complete", params=dict(params), epochs=epochs, curve=points, seconds=1.0, run=f"trial-{number:04d}"
    )


class Inline:
    """Runs a function of each request at once, in this process; by default one that writes its planted record."""

    threads = 1

    def __init__(self, function: Callable[[TrialRequest], bool] | None = None, n_workers: int = 1) -> None:
        self.n_workers, self.closed, self.requests = n_workers, False, []
        self._function = function or write_planted

    def submit(self, request: TrialRequest) -> Future[bool]:
        """See `Executor`."""
        self.requests.append(request)
        future: Future[bool] = Future()
        try:
            future.set_result(self._function(request))
        except Exception as error:  # as a future holds it
            future.set_exception(error)
        return future

    def close(self) -> None:
        """See `Executor`."""
        self.closed = True


def write_planted(request: TrialRequest) -> bool:
    """The trial of a planted sweep."""
    write_record(Path(request.folder), planted_record(request.number, request.params))
    return True
