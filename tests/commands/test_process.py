from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREED_AND_TAKEN_AGAIN = """
import resource
import numpy as np
from sparcode.commands.process import keep_freed_memory
assert keep_freed_memory() is {kept}
np.ones(1 << 24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(1 << 24)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library can be told to keep freed memory")
def test_large_arrays_take_the_pages_of_freed_ones() -> None:
    result = subprocess.run([sys.executable, "-c", FREED_AND_TAKEN_AGAIN.format(kept=True)], capture_output=True, text=True, check=True)
    # Five arrays of 128 MiB are 163,840 pages of 4 KiB, or 320 of 2 MiB.
    assert int(result.stdout) < 100


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from sparcode.commands import process

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not process.keep_freed_memory()
