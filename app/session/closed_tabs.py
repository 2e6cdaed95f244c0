"""What closed tabs leave in memory goes back to the system: their sessions, and the files that they uploaded."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from contextlib import suppress
from typing import Final

from streamlit import runtime

# Between two looks.
LOOK_SECONDS: Final = 15.0
# Of `mallopt` in glibc, and how many.
_M_ARENA_MAX: Final = -8
_ARENAS: Final = 2


async def forget_closed_tabs() -> None:
    """Look again and again, and give memory back whenever a tab is forgotten; ends when it is cancelled.

    Streamlit keeps a closed tab for two minutes, in case it is connected again, and longer: it forgets it when another tab is closed. The
    files of a hundred visitors are gigabytes.
    """
    n_before = 0
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        n_kept = kept_tabs()
        if n_kept < n_before:
            await asyncio.to_thread(give_back)
        n_before = n_kept


def kept_tabs() -> int:
    """The number of closed tabs that Streamlit keeps, after those whose time is over were dropped; 0 where that cannot be told."""
    # It has no public name. Asking for the number drops those whose time is over.
    with suppress(AttributeError, RuntimeError):
        return len(runtime.get_instance()._session_mgr._session_storage._cache)
    return 0


def keep_memory_together() -> None:
    """Let all threads share a few pools of memory; does nothing where there is no glibc.

    Every run of a page is a thread of its own, and glibc would give it one of 16 pools, in each of which some freed memory stays.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Free sessions, whose objects refer to each other, and give the memory back to the system where glibc would keep it."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
