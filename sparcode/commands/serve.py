"""`sparcode serve`: answer over HTTP from a kept run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcode.commands.extras import need
from sparcode.commands.flags import with_groups
from sparcode.commands.process import set_threads
from sparcode.commands.serving import SERVING, ServingFlags
from sparcode.commands.terminal import say

if TYPE_CHECKING:
    from sparcode.service.worker import ServiceSettings

MAX_WORKERS = 256


@with_groups(serving=SERVING)
def serve(
    serving: ServingFlags,
    run: Annotated[Path, typer.Argument(help="Folder of a run, as written by `sparcode train --out`.")],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Numeric address to listen on; the default is this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8080,
    workers: Annotated[
        int | None, typer.Option(min=1, max=MAX_WORKERS, help="Processes that answer, of one thread each; by default one per processor.")
    ] = None,
    drain_seconds: Annotated[int, typer.Option(min=0, max=3600, help="Seconds that running requests have once SIGTERM came.")] = 30,
) -> None:
    """Answer retrieve and explain requests over HTTP until SIGTERM or Ctrl-C, then finish what is running and end."""
    need("serve", "uvicorn", "prometheus_client", "starlette")
    # Takes seconds to import; bad usage is answered before.
    from sparcode.service.processes import bind, serve_processes

    set_threads(1)
    with _prepared(run, serving, drain_seconds) as settings:
        bound = bind(host, port)
        address, at = bound.getsockname()[:2]
        n_workers = workers or os.cpu_count() or 1
        name = f"[{address}]" if ":" in address else address
        ready = f"serving {run} at http://{name}:{at} with {n_workers} worker{'' if n_workers == 1 else 's'}; Ctrl-C or SIGTERM ends"
        serve_processes(settings, bound, n_workers, lambda: say(ready))
    say("the service has ended")


@contextmanager
def _prepared(run: Path, serving: ServingFlags, drain_seconds: int) -> Iterator[ServiceSettings]:
    """Check the run, and write what its workers share among the temporary files: blocks, where it is served in them, and counts."""
    from sparcode.index.whole_folder import passing_folder

    with passing_folder("sparcode-serve") as shared:
        yield _settings(run, serving, drain_seconds, shared)


def _settings(run: Path, serving: ServingFlags, drain_seconds: int, shared: Path) -> ServiceSettings:
    from sparcode.index.pruning import as_served
    from sparcode.index.storage import save_index
    from sparcode.runs.store import load_run
    from sparcode.service.answers import Limits
    from sparcode.service.worker import ServiceSettings

    # Of this function alone: the parent of the workers has no use for it.
    loaded = load_run(run, mmap=True)
    cut, index = serving.cut(loaded), serving.index_config(loaded)
    counts, blocks = shared / "counts", None
    counts.mkdir()
    if index.postings != "float32":
        blocks = shared / "blocks"
        save_index(as_served(loaded.index, cut, index.postings), blocks)
    return ServiceSettings(run.absolute(), loaded.run_id, blocks, counts, cut, index.unseen, Limits(), drain_seconds)
