"""Items of an index as sparse vectors in a Milvus collection: a file of Milvus Lite, or a cluster by its address.

Dimension r of an item's vector is list r of the index, so codes of any size have small dimensions: ``index.codes[r]`` is the code. Its
value is ``E(code, item) - tau``, float32, and absent where that is not above 0. With a query's weights as its vector, the inner product is
the score of `sparcode.retrieval.sparse`. Items that no list holds would have empty vectors, which Milvus refuses; they are left out, as no
search returns them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from sparcode.config import PostingsKind
from sparcode.index.block_index import BlockIndex
from sparcode.index.inverted_index import InvertedIndex
from sparcode.index.pruning import Cut
from sparcode.retrieval.searchers import BlockSearcher, ListSearcher

if TYPE_CHECKING:
    from pymilvus import MilvusClient

COLLECTION = "sparcode_items"
TOKEN_VARIABLE = "MILVUS_TOKEN"
ITEM, ITEM_ID, CODES = "item", "item_id", "codes"
# Of a collection that is being written; it gets its own name at the end.
_UNFINISHED = "_unfinished"
_ABOUT, _VERSION = "sparcode", 1
# A message to Milvus may have 64 MB.
_BATCH_ITEMS, _BATCH_POSTINGS = 2_000, 500_000
# Bytes of UTF-8, Milvus's own limit of a text.
_LONGEST_TEXT = 65_535
_NAME = re.compile(r"[A-Za-z_]\w{0,200}", re.ASCII)


class Exported(NamedTuple):
    """What a collection holds and of which run; kept with it.

    Attributes
    ----------
    run_id, codes_hash
        The run, and a hash of its codes in the order of the dimensions.
    threshold, per_list, postings
        How the index was cut, and in which layout its scores were read.
    n_items, n_exported
        Items of the catalogue, and those with a posting.
    """

    run_id: str
    codes_hash: str
    threshold: float
    per_list: int
    postings: PostingsKind
    n_items: int
    n_exported: int


def hash_of_codes(codes: np.ndarray) -> str:
    """SHA-256 of (n_lists,) int64 codes."""
    return hashlib.sha256(np.ascontiguousarray(codes, dtype="<i8").tobytes()).hexdigest()


def item_vectors(index: InvertedIndex | BlockIndex, cut: Cut) -> csr_array:
    """``E - tau`` of every posting that counts: (I, n_lists) float32, without explicit zeros; dimensions ascend within an item."""
    tau = np.float32(cut.threshold)
    searcher = BlockSearcher(index, cut.threshold) if isinstance(index, BlockIndex) else ListSearcher.of(index, *cut)
    lists = []
    for number in range(index.n_lists):
        item_ids, scores = searcher.whole_list(number)
        counts = scores > tau
        lists.append((item_ids[counts], scores[counts] - tau))
    items = np.concatenate([np.zeros(0, np.int32), *(item_ids for item_ids, _ in lists)])
    values = np.concatenate([np.zeros(0, np.float32), *(part for _, part in lists)])
    indptr = np.concatenate([[0], np.cumsum([len(item_ids) for item_ids, _ in lists], dtype=np.int64)])
    return csr_array((values, items, indptr), shape=(index.n_lists, index.n_items)).T.tocsr()


@contextmanager
def connected(uri: str) -> Iterator[MilvusClient]:
    """A client of the file or cluster at an address; errors of Milvus become RuntimeError in one line, and are not logged besides.

    A token for a cluster is read from the environment variable `TOKEN_VARIABLE`. Sets `GRPC_VERBOSITY` to NONE where it is not set.
    """
    # Read when gRPC is imported; it would write to standard error what happens to idle connections.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from pymilvus import MilvusClient, MilvusException

    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = None
    try:
        client = MilvusClient(uri, token=os.environ.get(TOKEN_VARIABLE, ""))
        yield client
    except MilvusException as error:
        raise RuntimeError(f"Milvus at {uri}: {error.message}") from error
    finally:
        if client is not None:
            client.close()


def export_items(
    client: MilvusClient, name: str, vectors: csr_array, item_ids: list[str], items: pd.DataFrame, about: Exported, overwrite: bool
) -> list[str]:
    """Write a collection, which appears under its name once it is whole; returns columns of `items` that it has no field for.

    Fields are `item` (index in the catalogue, the key), `item_id`, those columns of `items` that have a name Milvus allows, and `codes`.
    What a stopped export left is removed; two exports to one name at once are not told apart. ValueError if the collection exists and
    `overwrite` is false, the name is not allowed, there is nothing to export, or a text is too long.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a collection's name must consist of letters, digits and underscores and begin with no digit; got {name!r}")
    if name.endswith(_UNFINISHED):
        raise ValueError(f"a collection's name must not end in {_UNFINISHED}, as those do that are being written; got {name!r}")
    if client.has_collection(name) and not overwrite:
        raise ValueError(f"the collection {name!r} exists; overwrite it or give another name")
    kept = np.flatnonzero(np.diff(vectors.indptr))
    if len(kept) == 0:
        raise ValueError("no item has a score above the threshold, so there is nothing to export")
    columns = {column: items[column] for column in items.columns if _NAME.fullmatch(str(column)) and column not in (ITEM, ITEM_ID, CODES)}
    unfinished = name + _UNFINISHED
    if client.has_collection(unfinished):
        client.drop_collection(unfinished)
    _create(client, unfinished, columns, about)
    texts = {ITEM_ID: pd.Series(item_ids, dtype=object), **columns}
    for rows in _batches(kept, np.diff(vectors.indptr)):
        client.insert(unfinished, _entities(rows, vectors, texts))
    client.flush(unfinished)
    if client.has_collection(name):
        client.drop_collection(name)
    client.rename_collection(unfinished, name)
    return [str(column) for column in items.columns if column not in columns]


def read_about(client: MilvusClient, name: str) -> Exported:
    """What a collection holds; ValueError if it is not there, or was not written by `export_items`."""
    if not client.has_collection(name):
        names = ", ".join(map(repr, client.list_collections())) or "none"
        raise ValueError(f"there is no collection {name!r}; there are {names}")
    described = client.describe_collection(name)
    try:
        about = json.loads(described["properties"][_ABOUT])
        if about.pop("version") != _VERSION:
            raise ValueError("another version")
        return Exported(**about)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the collection {name!r} was not made by this version of sparcode export") from error


def _create(client: MilvusClient, name: str, columns: Mapping[str, pd.Series], about: Exported) -> None:
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field(ITEM, DataType.INT64, is_primary=True)
    schema.add_field(ITEM_ID, DataType.VARCHAR, max_length=_LONGEST_TEXT)
    for column, values in columns.items():
        kind = _kind(values)
        limit = {"max_length": _LONGEST_TEXT} if kind == "VARCHAR" else {}
        schema.add_field(column, getattr(DataType, kind), nullable=True, **limit)
    schema.add_field(CODES, DataType.SPARSE_FLOAT_VECTOR)
    index = client.prepare_index_params()
    # Dropping small values would change scores.
    index.add_index(CODES, index_type="SPARSE_INVERTED_INDEX", metric_type="IP", params={"drop_ratio_build": 0.0})
    properties = {_ABOUT: json.dumps({"version": _VERSION, **about._asdict()})}
    client.create_collection(name, schema=schema, index_params=index, properties=properties, consistency_level="Strong")


def _kind(values: pd.Series) -> str:
    kinds = {"b": "BOOL", "i": "INT64", "u": "INT64", "f": "DOUBLE"}
    return kinds.get(values.dtype.kind, "VARCHAR")


def _batches(items: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    start, postings = 0, 0
    for place, length in enumerate(lengths[items].tolist()):
        if place > start and (place - start == _BATCH_ITEMS or postings + length > _BATCH_POSTINGS):
            yield items[start:place]
            start, postings = place, 0
        postings += length
    yield items[start:]


def _entities(rows: np.ndarray, vectors: csr_array, columns: Mapping[str, pd.Series]) -> list[dict[str, Any]]:
    values = {column: _values(column, series.iloc[rows]) for column, series in columns.items()}
    entities = []
    for place, item in enumerate(rows.tolist()):
        part = slice(vectors.indptr[item], vectors.indptr[item + 1])
        vector = dict(zip(vectors.indices[part].tolist(), vectors.data[part].tolist(), strict=True))
        entities.append({ITEM: item, CODES: vector, **{column: of_rows[place] for column, of_rows in values.items()}})
    return entities


def _values(column: str, values: pd.Series) -> list[Any]:
    """Plain values, None where there is none."""
    plain = values.astype(object).where(values.notna(), None).tolist()
    if _kind(values) != "VARCHAR":
        return plain
    texts = [None if value is None else str(value) for value in plain]
    if too_long := next((text for text in texts if text is not None and len(text.encode()) > _LONGEST_TEXT), None):
        raise ValueError(f"{column} has a text of {len(too_long.encode()):,} bytes; Milvus takes {_LONGEST_TEXT:,}")
    return texts
