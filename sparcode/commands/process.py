"""How a command's process computes: its threads, and what becomes of memory it frees."""

from __future__ import annotations

import ctypes
import os
import platform

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def set_threads(threads: int | None) -> None:
    """Limit the threads of network computations; None takes one per processor."""
    # Imported late: torch takes seconds, and --help does not need it.
    import torch

    torch.set_num_threads(threads or os.cpu_count() or 1)


def keep_freed_memory() -> bool:
    """Keep freed memory in this process from now on, so that its pages are reused; call it before training.

    Each batch allocates and frees arrays of many megabytes, which the GNU C library would return to the system, so that every batch pays
    again for cleared pages. False if the C library does not support this; nothing changes then.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
