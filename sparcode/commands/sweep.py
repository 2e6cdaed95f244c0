"""`sparcode sweep`: try many settings on the same data, and say which to run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from pydantic import ValidationError

from sparcode.commands.data_source import DATA, DataSource
from sparcode.commands.flags import (
    MAX_THREADS,
    DepthOption,
    DeviceOption,
    OptionGroup,
    config_options,
    with_groups,
    within_catalogue,
)
from sparcode.commands.settings import SETTINGS, SettingsFlags
from sparcode.commands.sweep_text import SweepLines, sweep_record, sweep_text
from sparcode.commands.terminal import say
from sparcode.config import SweepConfig
from sparcode.config_message import validation_message
from sparcode.data.evaluation_protocol import PROTOCOLS
from sparcode.data.loading import SYNTHETIC

if TYPE_CHECKING:
    from sparcode.sweep.executors import Executor


# Names the data in the command that repeats a sweep.
_BUILT_IN: Final = f"--data {SYNTHETIC}"


class SearchFlags(NamedTuple):
    """Fields of `SweepConfig` that were given."""

    given: Mapping[str, Any]

    @property
    def config(self) -> SweepConfig:
        """The settings of the search; ValueError if one is out of bounds."""
        try:
            return SweepConfig(**self.given)
        except ValidationError as error:
            raise ValueError(validation_message(error)) from error


SEARCH = OptionGroup(
    parameters=config_options(SweepConfig, "Search"),
    build=lambda **flags: SearchFlags({name: value for name, value in flags.items() if value is not None}),
)


@with_groups(source=DATA, settings=SETTINGS, search=SEARCH)
def sweep(
    source: DataSource,
    settings: SettingsFlags,
    search: SearchFlags,
    out: Annotated[
        Path, typer.Option(help="Folder of the sweep: its trials, their runs, and what a later --resume needs.", metavar="SWEEP")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help="A setting to vary, as stage.field=VALUE,VALUE,... or stage.field=LOW..HIGH, with ' log' to draw and space it by its "
            "logarithm, and a number of points for a grid; may be given several times.",
            metavar="FIELD=VALUES",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the sweep in --out, with the trials that are not finished; it says all else.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=MAX_THREADS, help="Trials at once, in processes; by default one per processor.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_THREADS, help="Processor threads of each; by default the processors divided among the workers."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Address of a Dask scheduler (tcp://HOST:PORT): trials run on its workers, which must see --out under the same path.",
            metavar="ADDRESS",
        ),
    ] = None,
    k: DepthOption = None,
    device: DeviceOption = "auto",
    max_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Minutes after which trials under way are ended; --resume goes on with them.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress on standard error.")] = False,
) -> None:
    """Try many settings on the same data: print the Pareto front, the smallest index near the best, and which settings matter."""
    if scheduler is not None and (workers or threads):
        raise typer.BadParameter("--workers and --threads are of local processes; with --scheduler the cluster has its own")
    if scheduler is None and device != "auto":
        from sparcode.device import choose_device

        choose_device(device)
    if resume:
        _check_resume(source, settings, search, vary, k)
    else:
        _create(source, settings, search, out, vary or [], k, quiet or as_json)

    from sparcode.sweep.folder import load
    from sparcode.sweep.run import run_sweep

    before = load(out)
    lines = SweepLines(before.definition, quiet or as_json)
    lines.on_begin(len(before.trials))
    try:
        # Connecting, and ending workers, are part of what can be interrupted.
        executor = _executor(scheduler, workers, threads)
        ended = run_sweep(out, executor, lines, max_seconds=60 * (max_minutes or math.inf), device=device)
    except (KeyboardInterrupt, RuntimeError) as error:
        error.add_note(f"{len(load(out).trials)} finished trials are kept in {out}; sparcode sweep --resume --out {out} goes on")
        raise
    made = load(out)
    say(json.dumps(sweep_record(made, ended), allow_nan=False) if as_json else sweep_text(made, ended))
    if made.trials and not made.complete and made.is_finished:
        raise RuntimeError(f"no trial has a result; trial {made.trials[0].number}: {made.trials[0].error or made.trials[0].state}")


def _create(
    source: DataSource, settings: SettingsFlags, search: SearchFlags, out: Path, vary: list[str], k: int | None, quiet: bool
) -> None:
    """Make the sweep's folder; bad input is answered before anything that takes long."""
    if out.name in ("", ".."):
        raise ValueError(f"--out {out} has no name; name a new folder in it")
    if out.exists():
        raise ValueError(f"--out {out} exists; name a new folder, or add --resume to go on with the sweep in it")
    if not vary:
        raise typer.BadParameter("a sweep needs something to vary: add --vary, such as --vary quantizer.codebook_size=64,128,256")
    from sparcode.sweep.space import config_of, parse_space

    space, wanted = parse_space(vary), search.config
    if wanted.sampler == "grid":
        _ = space.n_grid
    config = settings.run_config(source.is_synthetic, source.default_protocol.name)
    data, split = source.load_split(config.split, quiet)
    k = within_catalogue(k or PROTOCOLS[config.split.protocol].default_k, data.n_items)

    from sparcode.sweep.folder import create
    from sparcode.training.pipeline import with_idle_reset
    from sparcode.training.recommended import recommended

    if not source.is_synthetic:
        typed = {stage: {*fields} for stage, fields in settings.named().items()}
        for name in space.settings:
            stage, _, field = name.partition(".")
            typed.setdefault(stage, set()).add(field)
        config, reason = recommended(split, config, typed)
        if reason and not quiet:
            say(f"Settings for this data: {reason}", err=True)
    config = with_idle_reset(split, config, settings.typed()["training"])
    config_of(config, {})
    options = {name: value for name, (_, value) in source.options.items()}
    try:
        create(out, data, config, space, wanted, k, config.training.seed, source.source, options, source.command_flags or _BUILT_IN)
    except OSError as error:
        raise ValueError(f"--out {out} cannot be written: {error.strerror or error}") from error


def _check_resume(source: DataSource, settings: SettingsFlags, search: SearchFlags, vary: list[str] | None, k: int | None) -> None:
    """ValueError if flags say again what the sweep is."""
    said = {
        "--vary": vary,
        "--k": k,
        "--config": settings.file,
        "a setting": any(settings.fields.values()),
        "the search": search.given,
        "the data": source.command_flags,
    }
    if given := [name for name, value in said.items() if value]:
        raise ValueError(f"--resume goes on with the sweep as it began; leave out {', '.join(given)}")


def _executor(scheduler: str | None, workers: int | None, threads: int | None) -> Executor:
    from sparcode.sweep.executors import DaskCluster, Processes

    return DaskCluster(scheduler) if scheduler is not None else Processes(workers or 0, threads or 0)
