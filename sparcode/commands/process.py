"""How a command's process computes: its threads, what becomes of memory it frees, and which one of several it is."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import NamedTuple

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


class Launched(NamedTuple):
    """Which of `n` processes of one training this is, from 0 on; `local_rank` and `n_local` count those of this machine."""

    rank: int = 0
    n: int = 1
    local_rank: int = 0
    n_local: int = 1

    @property
    def name(self) -> str:
        """For messages; empty for the first, which speaks for all."""
        return f"process {self.rank} of 0 to {self.n - 1}: " if self.rank else ""


def launched() -> Launched:
    """The process as torchrun started it, by the environment; alone if it did not. ValueError if numbers there make no sense."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    given = [os.environ.get(name) for name in names]
    if None in given:
        return Launched()
    if not all(text.isdecimal() for text in given) or not int(given[0]) < int(given[1]) or not int(given[2]) < int(given[3]):
        raise ValueError(f"the environment has {', '.join(map('='.join, zip(names, given, strict=True)))}; torchrun sets them")
    return Launched(*map(int, given))


def set_threads(threads: int | None) -> None:
    """Limit the threads of network computations; None takes one per processor, of which a machine's processes get a share each."""
    # Imported late: torch takes seconds, and --help does not need it.
    import torch

    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // launched().n_local))


def keep_freed_memory() -> bool:
    """Keep freed memory in this process from now on, so that its pages are reused; call it before training.

    Each batch allocates and frees arrays of many megabytes, which the GNU C library would return to the system, so that every batch pays
    again for cleared pages. False if the C library does not support this; nothing changes then.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
