"""`sparcode export`: a kept run's items to Milvus, or its query side to an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sparcode.commands.extras import need
from sparcode.commands.flags import with_groups
from sparcode.commands.milvus import DEFAULT_COLLECTION, CollectionOption, check_uri, export_to_milvus
from sparcode.commands.serving import SERVING, ServingFlags
from sparcode.commands.terminal import say


@with_groups(serving=SERVING)
def export(
    serving: ServingFlags,
    run: Annotated[Path, typer.Argument(help="Folder of a run, as written by `sparcode train --out`.")],
    target: Annotated[
        str,
        typer.Argument(metavar="URI|FILE", help="Milvus: a file that ends in .db, or the address of a cluster; ONNX: the file to write."),
    ],
    to: Annotated[Literal["milvus", "onnx"], typer.Option(help="What to export to.")],
    collection: CollectionOption = DEFAULT_COLLECTION,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the collection or file of this name.")] = False,
) -> None:
    """Export items to Milvus, whose sparse search then answers as the run's index does, or the query side (history to codes) to ONNX."""
    if to == "milvus":
        check_uri(target)
    else:
        if serving != ServingFlags() or collection != DEFAULT_COLLECTION:
            raise typer.BadParameter(
                "an index's cut and layout, and --collection, go with --to milvus: the query side does not depend on them"
            )
        need("onnx", "onnx", "onnxscript", "onnxruntime")
    # Takes seconds to import; bad usage is answered before.
    from sparcode.runs.store import load_run

    loaded = load_run(run)
    if to == "milvus":
        say(export_to_milvus(loaded, serving, target, collection, overwrite))
        return
    from sparcode.service.onnx_queries import export_queries

    written = export_queries(loaded.model, Path(target), loaded.run_id, overwrite)
    tied = f"; in {written.n_tied} of them two codes are equally near and either is taken" if written.n_tied else ""
    say(f"wrote {target}, {written.size_bytes:,} bytes; codes are the model's on {written.n_checked} random histories{tied}")
