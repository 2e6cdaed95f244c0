"""What a worker is told to do: plain values, so that it can be asked in another process or on another machine."""

from __future__ import annotations

from typing import NamedTuple

from sparcode.sweep.space import Value


class TrialRequest(NamedTuple):
    """One trial.

    Attributes
    ----------
    folder
        The sweep's folder, by a path that holds wherever the trial runs.
    session
        The word of the process that asks, see `sparcode.sweep.session`.
    identity
        Of the sweep's definition: a worker that sees another folder under this path must not use it.
    threads
        Processor threads of the trial; 0: as the worker was started.
    device
        As for `sparcode.device.choose_device`.
    """

    folder: str
    number: int
    params: dict[str, Value]
    session: str
    identity: str
    threads: int = 0
    device: str = "auto"
