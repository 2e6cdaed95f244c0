"""What all benchmarks share: command-line options, the last line of JSON, peak memory."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Any

import faiss
import torch
import typer

Data = Annotated[Path | None, typer.Option("--data", help="MovieLens archive, folder or table; without it the built-in data.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of split, training and whatever is drawn.")]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="Seeds 0 to n-1 of split and training, one after the other.")]
Rounds = Annotated[int, typer.Option("--rounds", min=1, help="Times that each of the timed things is timed.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of all computations.")]
Settings = Annotated[
    Path | None, typer.Option("--settings", help="Settings per encoder, as in benchmarks/settings: of all models, and of two-tower.")
]
Keep = Annotated[Path | None, typer.Option("--keep", help="Folder of trained models; what it holds is not trained again.")]
Quick = Annotated[bool, typer.Option("--quick", help="A small run, under 50 s on an idle machine.")]


def run_command(main: Callable[..., None]) -> None:
    """Run a benchmark's `main` with the options of the command line."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    typer.run(main)


# Stage -> settings.
Stages = dict[str, dict[str, Any]]


def settings_of(path: Path | None, encoder: str = "mean") -> tuple[Stages, Stages]:
    """What a file as in benchmarks/settings has for all models with an encoder, and for two-tower on top; nothing without a file.

    typer.BadParameter if it has nothing for this encoder.
    """
    if path is None:
        return {}, {}
    encoders = json.loads(path.read_text())
    if encoder not in encoders:
        raise typer.BadParameter(f"{path} has no settings for the encoder {encoder!r}; it has some for {', '.join(map(repr, encoders))}")
    return encoders[encoder].get("all", {}), encoders[encoder].get("two_tower", {})


def merged(*parts: Stages) -> Stages:
    """All settings; of those named twice the last."""
    stages = dict.fromkeys(stage for part in parts for stage in part)
    return {stage: {name: value for part in parts for name, value in part.get(stage, {}).items()} for stage in stages}


def set_threads(n_threads: int) -> None:
    """Threads of PyTorch and faiss."""
    torch.set_num_threads(n_threads)
    faiss.omp_set_num_threads(n_threads)


def print_figures(figures: Mapping[str, Any], digits: int = 4) -> None:
    """Print figures as one line of JSON: rounded, nested ones too; null for what is not finite."""
    print("\n" + json.dumps({name: _rounded(value, digits) for name, value in figures.items()}, allow_nan=False))


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(part, digits) for name, part in value.items()}
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    return value


def outputs(processes: Sequence[subprocess.Popen[str]], name: str) -> list[str]:
    """What processes print; all have ended afterwards. RuntimeError as soon as one has failed; the others are killed."""
    with ThreadPoolExecutor(len(processes)) as threads:
        try:
            reading = {threads.submit(process.communicate): process for process in processes}
            for read in as_completed(reading):
                if code := reading[read].returncode:
                    raise RuntimeError(f"{name} ended with exit code {code}; see its message above")
            return [read.result()[0] for read in reading]
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()


def peak_memory_kib(work: Callable[[], Any]) -> tuple[int, Any]:
    """KiB that the resident set grows by at most during some work, and its result (Linux)."""
    # Reset the peak.
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory_kib("VmRSS")
    result = work()
    return _memory_kib("VmHWM") - before, result


def _memory_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
