"""`sparcode export`: a kept run's items to Milvus, or its query side to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sparcode.commands.flags import with_groups
from sparcode.commands.milvus import DEFAULT_COLLECTION, CollectionOption, check_uri, export_to_milvus
from sparcode.commands.serving import SERVING, ServingFlags
from sparcode.commands.terminal import say


@with_groups(serving=SERVING)
def export(
    serving: ServingFlags,
    run: Annotated[Path, typer.Argument(help="Folder of a run, as written by `sparcode train --out`.")],
    target: Annotated[str, typer.Argument(metavar="URI", help="A file that ends in .db for Milvus Lite, or the address of a cluster.")],
    to: Annotated[Literal["milvus"], typer.Option(help="What to export to.")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a collection of this name.")] = False,
) -> None:
    """Export items as sparse vectors to Milvus, whose inner-product search then answers as the run's index does."""
    check_uri(target)
    # Takes seconds to import; bad usage is answered before.
    from sparcode.runs.store import load_run

    say(export_to_milvus(load_run(run), serving, target, collection, overwrite))
