"""What figures were measured on."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch


def machine_facts() -> str:
    """Processor, cores, threads in use and versions, in words; nothing that names the machine."""
    threads = torch.get_num_threads()
    return (
        f"{_processor()}, {os.cpu_count() or 1} cores, {threads} thread{'' if threads == 1 else 's'} used, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            found: Any = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        found = ""
    return found or platform.processor() or platform.machine()
