"""Single bits of a kept run changed: each change must be refused by the file's name, or change nothing that is read."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import numpy as np

from scripts.soak.kills import same
from sparcode.runs.store import Run, load_run


def soak(count: int, folder: Path, seed: int = 0) -> dict[str, int]:
    """Change one bit at a time of the files of a run, in turn, and read the run; the files are as before at the end.

    ``silent_flips``: reads that gave another run without a word; ``unnamed``: refusals that did not name the file; ``tracebacks``: errors
    of other kinds than a refusal.
    """
    rng, expected, told = np.random.default_rng(seed), load_run(folder), {"flips": count, "silent_flips": 0, "unnamed": 0, "tracebacks": 0}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for number in range(count):
        path = files[number % len(files)]
        raw = path.read_bytes()
        changed = bytearray(raw)
        place, bit = int(rng.integers(len(raw))), int(rng.integers(8))
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        try:
            told["silent_flips"] += not _equal(load_run(folder), expected)
        except ValueError as error:
            told["unnamed"] += path.name not in str(error)
        except Exception:
            told["tracebacks"] += 1
            print(f"bit {bit} of byte {place} of {path.name}: {traceback.format_exc()}", file=sys.stderr)
        finally:
            path.write_bytes(raw)
    return told


def _equal(run: Run, expected: Run) -> bool:
    """Whether two runs are the same in all that is read."""
    facts = [(one.config, one.data, one.item_ids, one.machine, one.user_encoding) for one in (run, expected)]
    figures = [repr((one.records, one.results)) for one in (run, expected)]
    return facts[0] == facts[1] and figures[0] == figures[1] and run.items.equals(expected.items) and same(run, expected)
