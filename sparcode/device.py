"""Where networks run: CUDA where PyTorch finds a usable GPU, else the CPU.

The device is no setting of a run; it is recorded with the facts of the machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from torch import nn

Device = Literal["auto", "cpu", "cuda"]


def choose_device(name: Device = "auto") -> torch.device:
    """The device for a choice; ``auto`` is CUDA where there is a usable GPU, else the CPU.

    ValueError if the choice is unknown, or CUDA is asked for where PyTorch finds none.
    """
    if name not in get_args(Device):
        raise ValueError(f"device={name}: must be one of {', '.join(get_args(Device))}")
    usable = torch.cuda.is_available()
    if name == "cuda" and not usable:
        reason = "this PyTorch was built without CUDA" if torch.version.cuda is None else "PyTorch finds no usable GPU"
        raise ValueError(f"device=cuda: {reason} (PyTorch {torch.__version__}); use auto or cpu")
    return torch.device("cuda" if name != "cpu" and usable else "cpu")


def device_of(model: nn.Module) -> torch.device:
    """The device a model's parameters are on."""
    return next(model.parameters()).device


@cache
def thread_pool(n_threads: int) -> ThreadPoolExecutor:
    """The process's pool of `n_threads` threads, for compiled loops that release the GIL; made once, and again in a forked child."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="sparcode")


# A forked child has the pools but none of their threads.
os.register_at_fork(after_in_child=thread_pool.cache_clear)


def in_chunks(n: int, work: Callable[[int, int], None], least: int = 1) -> None:
    """Call ``work(start, stop)``, which should release the GIL, for chunks of n rows on as many threads as PyTorch may use.

    `least` is the fewest rows per thread that are worth another one. Unlike numba's own work queue, the pool is safe beside other threads.
    """
    n_threads = min(torch.get_num_threads(), n // least)
    if n_threads <= 1:
        work(0, n)
        return
    edges = np.linspace(0, n, n_threads + 1).astype(np.int64).tolist()
    list(thread_pool(n_threads).map(work, edges[:-1], edges[1:]))
