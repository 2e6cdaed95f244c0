"""A description of the machine that figures were measured on."""

from __future__ import annotations

import os
import platform

import torch

from sparcode.model.ranks import current


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


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        found = ""
    return found or platform.processor() or platform.machine()
