"""Compiled loops over rows, shared out among threads.

The loops run without the GIL over chunks handed to a small thread pool, which is safe beside any other thread (unlike numba's own work
queue).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from sparcode.device import thread_pool


def in_chunks(n: int, work: Callable[[int, int], None], least: int = 1) -> None:
    """Call ``work(start, stop)`` for chunks that make up all n rows, on as many threads as PyTorch may use.

    Parameters
    ----------
    n
        Rows.
    work
        Does a chunk; must not need the GIL for long.
    least
        Rows per thread below which another thread would cost more than it does.
    """
    n_threads = min(torch.get_num_threads(), n // least)
    if n_threads <= 1:
        work(0, n)
        return
    edges = np.linspace(0, n, n_threads + 1).astype(np.int64).tolist()
    list(thread_pool(n_threads).map(work, edges[:-1], edges[1:]))
