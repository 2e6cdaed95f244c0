"""`sparcode train`: train everything, end with one table, keep the run."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sparcode.commands.data_source import DATA, DataSource
from sparcode.commands.flags import DepthOption, DeviceOption, ThreadsOption, with_groups
from sparcode.commands.process import set_threads
from sparcode.commands.settings import SETTINGS, SettingsFlags
from sparcode.data.evaluation_protocol import PROTOCOLS
from sparcode.index.whole_folder import clear_leftovers


@with_groups(source=DATA, settings=SETTINGS)
def train(
    source: DataSource,
    settings: SettingsFlags,
    out: Annotated[Path | None, typer.Option(help="Folder to keep the run in; without it nothing is kept.", metavar="RUN")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in --out.")] = False,
    k: DepthOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bars.")] = False,
) -> None:
    """Train SparCode and its peers on the same split, and print one table of all of them on the test users."""
    if out is not None:
        check_target(out, overwrite)
    elif overwrite:
        raise typer.BadParameter("--overwrite needs --out")
    config = settings.run_config(source.is_synthetic, source.default_protocol.name)
    data, split = source.load_split(config.split, quiet or as_json)
    k = k or PROTOCOLS[config.split.protocol].default_k

    # These take seconds to import; bad input is answered before.
    from sparcode.commands.progress import Progress
    from sparcode.comparison.run import compare
    from sparcode.comparison.table import comparison_record, comparison_text
    from sparcode.runs.store import save_run
    from sparcode.training.pipeline import with_idle_reset

    config = with_idle_reset(split, config, settings.typed()["training"])
    set_threads(threads)
    with Progress(quiet or as_json) as progress:
        comparison = compare(data, config, k, progress.on_step, progress.on_epoch, split=split, device=device)
    if out is not None:
        save_run(comparison.run, out, overwrite)
    if as_json:
        typer.echo(json.dumps({**comparison_record(comparison), "saved_to": None if out is None else str(out)}, allow_nan=False))
        return
    kept = "Not kept: give --out to keep the run" if out is None else f"Kept in {out} as run {comparison.run.run_id}"
    typer.echo(f"{comparison_text(comparison)}\n{kept}")


def check_target(folder: Path, overwrite: bool) -> None:
    """Check before training whether a run can be written to a folder.

    ValueError if something is there that may not be replaced (`overwrite`: may a run be?), or the place cannot be written to.
    """
    try:
        # Before looking: an earlier run may have been moved aside by a process that was killed.
        clear_leftovers(folder)
        if folder.exists():
            if not folder.is_dir():
                raise ValueError(f"--out {folder} is a file; name a folder")
            if not overwrite:
                raise ValueError(f"--out {folder} exists; name another folder, or add --overwrite")
            if any(folder.iterdir()) and not (folder / "run.json").is_file():
                raise ValueError(f"--out {folder} is not a run and is left alone; name another folder")
        parent = next(parent for parent in folder.absolute().parents if parent.exists())
        # Trying is the one sure way to know.
        with tempfile.TemporaryDirectory(prefix=".sparcode-", dir=parent):
            pass
    except OSError as error:
        raise ValueError(f"--out {folder} cannot be written: {error.strerror or error}") from error
