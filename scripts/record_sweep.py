"""Record the sweep that the studio shows before there is another one: `python -m scripts.record_sweep`.

On the built-in data, in processes; about eight minutes of processor time. `assets/sweep` gets its definition and the records of its
trials, with their curves; the runs are not kept. A test fails until then after a change of the default data or settings.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.kept.sweeps import RECORDED_SWEEP, RECORDING
from app.session.loaders import run_config
from sparcode.config import SweepConfig
from sparcode.data.loading import SYNTHETIC, load
from sparcode.index.whole_folder import write_whole
from sparcode.runs.machine import machine_facts
from sparcode.sweep.definition import DEFINITION, read_definition
from sparcode.sweep.executors import Processes
from sparcode.sweep.folder import create
from sparcode.sweep.record import TRIALS, TrialRecord, finished_numbers, read_record, write_record
from sparcode.sweep.run import Listener, run_sweep
from sparcode.sweep.space import Value, parse_space

# What the Index Explorer offers, so that every point can be opened there.
SPACE: Final = parse_space(["quantizer.n_codebooks=1,2", "quantizer.codebook_size=16,32,64,128,256", "quantizer.n_nearest=1,2,4,8"])
SEARCH: Final = SweepConfig(trials=24)


class _Printed(Listener):
    def on_started(self, number: int, params: Mapping[str, Value]) -> None:
        print(f"trial {number}: {dict(params)}", flush=True)

    def on_finished(self, record: TrialRecord, n_finished: int, seconds_left: float) -> None:
        print(f"trial {record.number}: {record.state}, recall {record.value():.4f}, {record.seconds:.0f} s", flush=True)


def record(work: Path, out: Path, n_workers: int) -> None:
    """Run the sweep in a folder `work`, or go on with it, and write what is kept of it to `out`."""
    if not work.exists():
        data = load(SYNTHETIC)
        create(work, data, run_config(data.synthetic), SPACE, SEARCH, flags=f"--data {SYNTHETIC}")
    ended = run_sweep(work, Processes(n_workers, threads=1), _Printed())
    if ended != "complete":
        raise RuntimeError(f"the sweep was {ended}")
    write_kept(work, out)


def write_kept(work: Path, out: Path) -> None:
    """Write definition and records of a finished sweep, with day and machine, in place of what `out` holds."""
    read_definition(work)
    about = {"day": datetime.datetime.now(datetime.UTC).date().isoformat(), "machine": machine_facts()}

    def fill(new: Path) -> None:
        shutil.copyfile(work / DEFINITION, new / DEFINITION)
        (new / RECORDING).write_text(json.dumps(about), encoding="utf-8")
        (new / TRIALS).mkdir()
        for number in finished_numbers(work):
            trial = read_record(work, number)
            # Their runs are not kept.
            write_record(new, trial.model_copy(update={"run": ""}))

    write_whole(out, fill)


def main() -> None:
    """Record it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RECORDED_SWEEP, help="folder of the recorded sweep")
    parser.add_argument("--work", type=Path, help="folder of the sweep itself, to go on with; by default a temporary one")
    parser.add_argument("--workers", type=int, default=2, help="trials at once")
    given = parser.parse_args()
    if given.work is not None:
        record(given.work, given.out, given.workers)
        return
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        record(Path(folder) / "sweep", given.out, given.workers)


if __name__ == "__main__":
    main()
