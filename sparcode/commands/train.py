"""`sparcode train`: train everything, end with one table, keep the run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcode.commands.data_source import DATA, DataSource
from sparcode.commands.flags import DepthOption, DeviceOption, ThreadsOption, with_groups, within_catalogue
from sparcode.commands.process import launched, set_threads
from sparcode.commands.settings import SETTINGS, SettingsFlags
from sparcode.commands.terminal import say
from sparcode.config import RunConfig
from sparcode.data.evaluation_protocol import PROTOCOLS
from sparcode.index.whole_folder import clear_leftovers, refuse_link, reserved, reserved_folder, try_place

if TYPE_CHECKING:
    from sparcode.model.ranks import Ranks
    from sparcode.runs.store import Run
    from sparcode.training.checkpoint import Beginning, Checkpoint


@with_groups(source=DATA, settings=SETTINGS)
def train(
    source: DataSource,
    settings: SettingsFlags,
    out: Annotated[Path | None, typer.Option(help="Folder to keep the run in; without it nothing is kept.", metavar="RUN")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out, and start a stopped training anew.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training to --out that was stopped, from its last epoch.")] = False,
    k: DepthOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    max_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Minutes that all training may take: each network trains for as many epochs as fit, and its best one is kept. What "
            "comes out then depends on the machine's speed.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Train nothing: print the settings chosen, and estimates of time and memory."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Train SparCode and its peers on the same split, and print one table of all of them on the test users.

    Started by torchrun, several processes train together; the first one measures, prints and writes.
    """
    place = launched()
    if place.rank and plan:
        return
    quiet = quiet or as_json or place.rank > 0
    if out is not None:
        if place.rank == 0:
            check_target(out, overwrite, resume)
    elif overwrite or resume:
        raise typer.BadParameter(f"{'--overwrite' if overwrite else '--resume'} needs --out")
    config = settings.run_config(source.is_synthetic, source.default_protocol.name)
    data, split = source.load_split(config.split, quiet)
    k = within_catalogue(k or PROTOCOLS[config.split.protocol].default_k, data.n_items)

    # These take seconds to import; bad input is answered before.
    from sparcode.commands.progress import Progress
    from sparcode.comparison.run import compare
    from sparcode.comparison.table import comparison_record, comparison_text
    from sparcode.comparison.training import Models, train_networks
    from sparcode.device import choose_device
    from sparcode.model.ranks import joined
    from sparcode.training.checkpoint import Beginning
    from sparcode.training.pipeline import with_idle_reset
    from sparcode.training.recommended import recommended

    reason = ""
    if not source.is_synthetic:
        config, reason = recommended(split, config, settings.named())
        if reason and not (quiet or plan):
            say(f"Settings for this data: {reason}", err=True)
    config = with_idle_reset(split, config, settings.typed()["training"])
    set_threads(threads)
    if plan:
        from sparcode.training.plan import plan_of, plan_text

        made = plan_of(split, config, device, reason)
        say(json.dumps(made._asdict(), allow_nan=False) if as_json else plan_text(made))
        return
    chosen, time_limit = choose_device(device), 60 * (max_minutes or math.inf)
    begins = Beginning(config, data.name, split.content_hash(), chosen.type, place.n)
    with joined(place.rank, place.n, chosen, place.local_rank, place.n_local) as ranks:
        _check_same(ranks, begins)
        if not ranks.is_first:
            train_networks(Models(split, config, device=device, time_limit=time_limit))
            return
        with nullcontext() if out is None else _checkpoint(out, begins, overwrite, resume) as checkpoint:
            with Progress(quiet) as progress:
                steps = progress.on_step, progress.on_epoch
                comparison = compare(data, config, k, *steps, split=split, device=device, checkpoint=checkpoint, time_limit=time_limit)
            try:
                # First, so that the figures are there whatever becomes of the run.
                if as_json:
                    record = {**comparison_record(comparison), "saved_to": None if out is None else str(out)}
                    say(json.dumps(record, allow_nan=False))
                else:
                    say(comparison_text(comparison))
            finally:
                if checkpoint is not None:
                    _keep(comparison.run, out, overwrite, checkpoint)
    if not as_json:
        say("Not kept: give --out to keep the run" if out is None else f"Kept in {out} as run {comparison.run.run_id}")


def check_target(folder: Path, overwrite: bool, resume: bool = False) -> None:
    """Check before training whether a run can be written to a folder, by trying.

    ValueError if something is there that may not be replaced (`overwrite`: may a run be?), the place cannot be written to, another process
    is training to it, or a stopped training could go on (`resume`: shall it?).
    """
    if folder.name in ("", ".."):
        raise ValueError(f"--out {folder} has no name; name a new folder in it")
    try:
        # Before looking: an earlier run may have been moved aside by a process that was killed.
        clear_leftovers(folder)
        refuse_link(folder)
        if folder.exists():
            if not folder.is_dir():
                raise ValueError(f"--out {folder} is a file; name a folder")
            if not overwrite:
                raise ValueError(f"--out {folder} exists; name another folder, or add --overwrite")
            if any(folder.iterdir()) and not (folder / "run.json").is_file():
                raise ValueError(f"--out {folder} is not a run and is left alone; name another folder")
        try_place(folder)
        if reserved_folder(folder).exists():
            with reserved(folder) as hidden:
                _refuse_stopped(folder, hidden, overwrite or resume)
    except OSError as error:
        raise ValueError(f"--out {folder} cannot be written: {error.strerror or error}") from error


def _check_same(ranks: Ranks, begins: Beginning) -> None:
    """ValueError unless this process read the data of the first one and has its settings; else the two would wait for each other."""
    first_hash, first_config = json.loads(ranks.of_first(json.dumps([begins.data_hash, begins.config.model_dump(mode="json")]), {})[0])
    if first_hash != begins.data_hash:
        raise ValueError(f"{begins.data}: this process read other data than the first one; all must read the same")
    if RunConfig.as_written(first_config) != begins.config:
        raise ValueError("this process has other settings than the first one; all must be started with the same flags")


@contextmanager
def _checkpoint(out: Path, begins: Beginning, overwrite: bool, resume: bool) -> Iterator[Checkpoint]:
    """The checkpoint of this training alone, to go on from or empty."""
    from sparcode.model.ranks import LostProcess
    from sparcode.training.checkpoint import Checkpoint, remove_states, stage_files

    with reserved(out) as hidden:
        _refuse_stopped(out, hidden, overwrite or resume)
        if not resume:
            remove_states(hidden)
        elif not stage_files(hidden):
            say(f"no stopped training to {out} was found: it starts anew", err=True)
        before = _number(out)
        try:
            yield Checkpoint(hidden, begins)
        except KeyboardInterrupt as error:
            if stage_files(hidden):
                error.add_note(f"add --resume to go on with the training to {out} from its last epoch")
            elif _number(out) != before:
                error.add_note(f"the run is kept in {out}")
            raise
        except LostProcess as error:
            if not stage_files(hidden):
                raise
            raise LostProcess(f"{error}; add --resume to go on with the training to {out} from its last epoch") from error


def _number(folder: Path) -> int | None:
    """The number by which the file system tells this folder from one that takes its place."""
    return folder.stat().st_ino if folder.exists() else None


def _refuse_stopped(out: Path, hidden: Path, allowed: bool) -> None:
    from sparcode.training.checkpoint import stage_files

    if not allowed and stage_files(hidden):
        raise ValueError(f"a training to --out {out} was stopped; add --resume to go on with it, or --overwrite to start anew")


def _keep(run: Run, out: Path, overwrite: bool, checkpoint: Checkpoint) -> None:
    """Save the run, elsewhere if need be, and remove its checkpoint; RuntimeError if the run is not in its folder."""
    from sparcode.runs.store import keep_run

    try:
        kept, problem = keep_run(run, out, overwrite)
    except RuntimeError as error:
        raise RuntimeError(f"{error}; make room, then --resume goes on from the last epoch that was kept") from error
    checkpoint.remove()
    if problem:
        raise RuntimeError(f"{problem}; the run is kept in {kept}")
