"""A Parquet folder of 20 million interactions, generated on the spot, profiled, split and ready to train: peak memory over its size.

    python -m benchmarks.large_data

The size is that of the columns that training needs, as int32: user, item and, where there are times, time. Peak memory is that of a fresh
process per case, over what it has after its imports. The last line holds ratios and seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from benchmarks.command import Quick, peak_memory_kib, print_figures, run_command
from sparcode.config import SplitConfig
from sparcode.data.loading import load
from sparcode.data.profile import profile_of
from sparcode.data.split import Split, split_users
from sparcode.runs.machine import machine_facts

ROWS, QUICK_ROWS = 20_000_000, 1_000_000
FILE_ROWS = 1_000_000
ROWS_PER_USER, ROWS_PER_ITEM = 40, 100
CASES = {"integers": (True, True), "texts": (False, True), "no times": (True, False)}


def main(
    rows: Annotated[int | None, typer.Option(min=1000, help=f"Interactions; by default {ROWS:,}.")] = None,
    quick: Quick = False,
    folder: Annotated[Path | None, typer.Option(help="Read this folder and print the peak memory.", hidden=True)] = None,
) -> None:
    """Measure, print the table and the ratios."""
    if folder is not None:
        _measure(folder)
        return
    rows = rows or (QUICK_ROWS if quick else ROWS)
    print(f"{rows:,} rows, {rows // ROWS_PER_USER:,} users, {rows // ROWS_PER_ITEM:,} items, {machine_facts()}\n")
    print("| ids | size as int32 | files | after imports | peak beyond them | peak over size | seconds |")
    print("|---|---|---|---|---|---|---|")
    figures = {"rows": rows}
    for name, (as_numbers, has_times) in CASES.items():
        with tempfile.TemporaryDirectory() as place:
            stored = generate(Path(place) / "visits", rows, as_numbers, has_times)
            command = [sys.executable, "-m", "benchmarks.large_data", "--folder", str(Path(place) / "visits")]
            done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        size = 4 * rows * (3 if has_times else 2)
        ratio = done["peak_kib"] * 2**10 / size
        figures[name] = {"peak_over_int32_size": ratio, "seconds": done["seconds"]}
        columns = [name, *(f"{n_bytes / 1e6:.0f} MB" for n_bytes in (size, stored, done["imports_kib"] * 2**10, done["peak_kib"] * 2**10))]
        print(f"| {' | '.join(columns)} | {ratio:.2f} | {done['seconds']:.1f} |", flush=True)
    print_figures(figures, 3)


def generate(folder: Path, rows: int, as_numbers: bool, has_times: bool) -> int:
    """Write files of a million rows with ids drawn by popularity, times shuffled; returns their bytes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, start in enumerate(range(0, rows, FILE_ROWS)):
        n = min(FILE_ROWS, rows - start)
        users = rng.integers(0, rows // ROWS_PER_USER, n) * 7919
        items = ((rows // ROWS_PER_ITEM) * rng.random(n) ** 2).astype(np.int64) * 104_729
        columns = {"user_id": pa.array(users), "item_id": pa.array(items)}
        if not as_numbers:
            columns = {
                column: pa.compute.binary_join_element_wise(column[:4], ids.cast(pa.string()), "-") for column, ids in columns.items()
            }
        if has_times:
            columns["timestamp"] = pa.array(1_600_000_000 + rng.integers(0, 10**8, n))
        pq.write_table(pa.table(columns), folder / f"part-{number:04}.parquet")
    return sum(file.stat().st_size for file in folder.iterdir())


def _measure(folder: Path) -> None:
    before = _kib("VmRSS")
    started = time.perf_counter()
    peak, split = peak_memory_kib(lambda: _ready(folder))
    seconds = time.perf_counter() - started
    print_figures({"imports_kib": before, "peak_kib": peak, "seconds": seconds, "train_users": len(split.train)})


def _ready(folder: Path) -> Split:
    data = load(folder)
    profile_of(data)
    split = split_users(data, SplitConfig())
    # What a run is named by; the last thing before models are made.
    split.content_hash()
    return split


def _kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


if __name__ == "__main__":
    run_command(main)
