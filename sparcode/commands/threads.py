"""The --threads flag."""

from __future__ import annotations

import os
from typing import Annotated

import typer

MAX_THREADS = 1024
ThreadsOption = Annotated[int | None, typer.Option(min=1, max=MAX_THREADS, help="Processor threads to use; by default one per processor.")]


def set_threads(threads: int | None) -> None:
    """Limit the threads of network computations.

    Parameters
    ----------
    threads
        None takes one per processor.
    """
    # Imported late: torch takes seconds, and --help does not need it.
    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)
