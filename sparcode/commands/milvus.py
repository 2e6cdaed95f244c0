"""Milvus from the command line: its address, its collections, the errors about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparcode.commands.extras import need

if TYPE_CHECKING:
    from sparcode.commands.serving import ServingFlags
    from sparcode.retrieval.milvus import MilvusRetriever
    from sparcode.runs.store import Run

# Spelled out here, because the module that has it loads compiled loops, which takes seconds; a test compares the two.
DEFAULT_COLLECTION = "sparcode_items"
_CLUSTER, _FILE = ("http://", "https://", "tcp://"), ".db"
UriOption = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="With --through milvus: file of Milvus Lite that ends in .db, or address of a cluster, such as http://127.0.0.1:19530.",
    ),
]
CollectionOption = Annotated[str, typer.Option(metavar="NAME", help="Name of the collection in Milvus.")]


def check_uri(uri: str) -> None:
    """ValueError unless it is a file of Milvus Lite or the address of a cluster, or if the packages for it are not installed."""
    if not uri.startswith(_CLUSTER) and not (uri.endswith(_FILE) and "://" not in uri):
        raise ValueError(f"the address of Milvus must be a file that ends in {_FILE} or begin with {' or '.join(_CLUSTER)}; got {uri!r}")
    need("milvus", "pymilvus", *(() if uri.startswith(_CLUSTER) else ("milvus_lite",)))


@contextmanager
def through_milvus(run: Run, uri: str, collection: str, where: str) -> Iterator[MilvusRetriever]:
    """A retriever over the collection of a run; ValueError if it cannot be had."""
    from sparcode.retrieval.milvus import MilvusRetriever
    from sparcode.retrieval.milvus_collection import connected

    # Milvus Lite would make a new file.
    if uri.endswith(_FILE) and not Path(uri).exists():
        raise ValueError(f"{uri} does not exist; sparcode export RUN --to milvus {uri} makes it")
    with connected(uri) as client:
        yield MilvusRetriever(client, collection, run.model, run.index, run.run_id, run.config.index.unseen, where)


def export_to_milvus(run: Run, serving: ServingFlags, uri: str, collection: str, overwrite: bool) -> str:
    """Export a run's items; what was done, in words. ValueError as for `sparcode.retrieval.milvus_collection.export_items`."""
    from sparcode.index.pruning import as_served
    from sparcode.retrieval.milvus_collection import Exported, connected, export_items, hash_of_codes, item_vectors

    cut, postings = serving.cut(run), serving.index_config(run).postings
    vectors = item_vectors(as_served(run.index, cut, postings), cut)
    n_exported = int((vectors.indptr[1:] > vectors.indptr[:-1]).sum())
    about = Exported(run.run_id, hash_of_codes(run.index.codes), cut.threshold, cut.per_list, postings, run.index.n_items, n_exported)
    with connected(uri) as client:
        left_out = export_items(client, collection, vectors, run.item_ids, run.items, about, overwrite)
    skipped = about.n_items - n_exported
    lines = [f"exported {n_exported:,} items with {vectors.nnz:,} values above {cut.threshold:.6g} to {uri} as {collection}"]
    if skipped:
        lines.append(f"{skipped:,} items that no list holds above the threshold were left out: no query returns them")
    if left_out:
        lines.append(f"without the columns {', '.join(left_out)}, whose names are no names of fields")
    return "\n".join(lines)
