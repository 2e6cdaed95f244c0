"""A description of the machine that figures were measured on."""

from __future__ import annotations

import math
import os
import platform
from typing import Final

import torch

from sparcode.model.ranks import current

# Per core.
BUSY_LOAD: Final = 0.75


def machine_facts(device: torch.device | None = None) -> str:
    """Processor, cores, threads in use, GPU (where `device`, on which networks ran, is one) and versions; nothing names the machine.

    Of several processes that train together, how many there are.
    """
    threads, n = torch.get_num_threads(), current().n
    gpu = f"{torch.cuda.get_device_name(device)}, " if device is not None and device.type == "cuda" else ""
    return (
        f"{_processor()}, {os.cpu_count() or 1} cores, {threads} thread{'' if threads == 1 else 's'} used, "
        f"{'' if n == 1 else f'{n} processes, '}{gpu}"
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def machine_load(own_threads: int = 0) -> float:
    """The load average of one minute per core: processes that ran or waited, less a caller's own threads; NaN where it is unknown.

    Above `BUSY_LOAD` times are those of a machine with other work: calls that take longer than a time slice are interrupted, shorter ones
    are not, so ratios of times are not to be trusted either.
    """
    try:
        return max(0.0, os.getloadavg()[0] - own_threads) / (os.cpu_count() or 1)
    except (OSError, AttributeError):
        return math.nan


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        found = ""
    return found or platform.processor() or platform.machine()
