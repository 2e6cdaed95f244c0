"""Trials of a sweep as runs of the studio: kept by a name of their own once somebody opens one."""

from __future__ import annotations

from app.kept.adopted import adopted_run
from app.kept.listing import as_name
from app.kept.runs import KeptRuns
from sparcode.runs.description import read_description
from sparcode.sweep.folder import Sweep


def keep_trial(kept: KeptRuns, sweep_name: str, sweep: Sweep, number: int) -> str:
    """The name by which a complete trial is kept; it is kept now if it is not yet.

    ValueError if the trial has no run, the run is damaged, or no other may be kept; OSError if it cannot be written.
    """
    folder = sweep.run_folder(number)
    wanted = as_name(f"{sweep_name} trial {number}")
    if kept.folder is not None and wanted in kept.names:
        there, here = read_description(kept.folder / wanted), read_description(folder)
        if (there.config, there.data) == (here.config, here.data):
            return wanted
    return kept.keep(kept.free_name(wanted), adopted_run(folder))
