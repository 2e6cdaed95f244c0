"""`sparcode retrieve`: items for a history, by their original ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer

from sparcode.commands.flags import MAX_NUMBER, within_catalogue
from sparcode.commands.milvus import DEFAULT_COLLECTION, CollectionOption, UriOption, check_uri, through_milvus
from sparcode.commands.terminal import one_line, say
from sparcode.service.queries import KnownItems, Query, list_owner, parse_query

if TYPE_CHECKING:
    from sparcode.retrieval.contract import Retriever
    from sparcode.retrieval.filters import ItemFilter
    from sparcode.retrieval.sparse import SparseRetriever
    from sparcode.runs.store import Run


def retrieve(
    run: Annotated[Path, typer.Argument(help="Folder of a run, as written by `sparcode train --out`.")],
    items: Annotated[list[str] | None, typer.Option(metavar="ID", help="An item of the history, oldest first; repeat the flag.")] = None,
    about: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What is known of the user, for a run with side features of users; repeat the flag."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='File with a JSON list of item ids per line, or {"items": [...], "about": {...}}; each line is a history.',
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=MAX_NUMBER, help="Items retrieved per history, at most the catalogue.")] = 10,
    allow: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with an item id per line: only these are returned, such as what is in stock.")
    ] = None,
    deny: Annotated[Path | None, typer.Option(metavar="FILE", help="File with an item id per line: these are never returned.")] = None,
    through: Annotated[
        Literal["index", "milvus"], typer.Option(help="Where items are searched: in the run's index, or in a collection exported from it.")
    ] = "index",
    uri: UriOption = None,
    collection: CollectionOption = DEFAULT_COLLECTION,
    where: Annotated[
        str | None,
        typer.Option(metavar="EXPRESSION", help="With --through milvus: a Milvus expression that items must meet, such as 'year > 1990'."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Take every score apart into its codes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Retrieve items for one history or a file of them; items of the history itself are never returned."""
    if (items is None and about is None) == (history is None):
        raise typer.BadParameter("give the history either by --items (repeated) and --about, or by --history FILE")
    if (uri is None) != (through == "index"):
        raise typer.BadParameter("--through milvus needs --uri, and --uri goes with it alone")
    if through == "index" and (where is not None or collection != DEFAULT_COLLECTION):
        raise typer.BadParameter(f"--{'collection' if where is None else 'where'} goes with --through milvus")
    rows = [Query("", items or [], _parse_about(about or []))] if history is None else read_histories(history)

    # Takes seconds to import; bad usage is answered before.
    from sparcode.runs.store import load_run
    from sparcode.training.pipeline import serve

    if uri is not None:
        check_uri(uri)
    loaded = load_run(run)
    k, only = within_catalogue(k, loaded.data.n_items), read_filter(loaded, allow, deny)
    if uri is None:
        retriever = serve(loaded.model, loaded.index, loaded.config.index)
        records = retrieve_records(loaded, rows, k, explain, only, retriever, retriever)
    else:
        with through_milvus(loaded, uri, collection, where or "") as milvus:
            # Contributions are read from the index, cut as the collection.
            records = retrieve_records(loaded, rows, k, explain, only, milvus, milvus.sparse)
            if milvus.answered_by_index:
                say(
                    f"note: {milvus.answered_by_index} of {len(rows)} were answered from the run's index: they have codes without a list",
                    err=True,
                )
    if as_json:
        say(json.dumps({"queries": records}, allow_nan=False))
        return
    say("\n\n".join(query_text(number, record) for number, record in enumerate(records, start=1)))


def read_histories(path: Path) -> list[Query]:
    """Histories of a JSON Lines file; empty lines are skipped.

    ValueError if the file cannot be read, has no history, or a line is not a list of ids (or an object that holds one).
    """
    return [_parse_line(place, line) for place, line in _lines_of(path, "history")]


def read_filter(run: Run, allow: Path | None, deny: Path | None) -> ItemFilter | None:
    """Which items may be returned, by files of item ids; None: every one.

    ValueError if a file cannot be read, has no item id, or has one that the run does not know.
    """
    given = (None if path is None else ((place, line.strip()) for place, line in _lines_of(path, "item id")) for path in (allow, deny))
    return KnownItems(run).filter_of(*given)


def retrieve_records(
    run: Run, rows: list[Query], k: int, explain: bool, only: ItemFilter | None, retriever: Retriever, index: SparseRetriever
) -> list[dict[str, Any]]:
    """Per history its items, user attributes and results, best first; with `explain` also what each code contributes, by the index.

    ValueError if an item id is unknown, a history is empty, or user attributes do not fit those of the run.
    """
    queries = KnownItems(run).histories(rows)
    found = retriever.retrieve(queries, min(k, queries.n_items), only)
    titles = [str(title) for title in run.items["title"]]
    named = dict(zip(run.item_ids, titles, strict=True))
    records = []
    for number, row in enumerate(rows):
        record: dict[str, Any] = {"items": [{"item_id": item_id, "title": named[item_id]} for item_id in row.items]}
        if row.about:
            record["about"] = row.about
        record["results"] = results = []
        for rank, (item, score) in enumerate(zip(*(part[number] for part in found), strict=True), start=1):
            if item < 0:
                break
            results.append({"rank": rank, "item_id": run.item_ids[item], "title": titles[item], "score": float(score)})
            if explain:
                parts = index.explain(queries.take(np.array([number])), int(item)).contributions
                adding = (part._asdict() | list_owner(run.model.lists, run.item_ids, part.code) for part in parts if part.contribution > 0)
                results[-1]["contributions"] = sorted(adding, key=lambda part: -part["contribution"])
        records.append(record)
    return records


def query_text(number: int, record: dict[str, Any]) -> str:
    """One history and its results as text."""
    from sparcode.comparison.table import text_table

    titles = "; ".join(one_line(item["title"]) for item in record["items"])
    known = ", ".join(one_line(f"{name} {value}") for name, value in record.get("about", {}).items())
    lines = [f"History {number}: {titles or 'no items'}" + (f" ({known})" if known else "")]
    if not record["results"]:
        return "\n".join([*lines, "No item scores above the threshold."])
    rows = [(str(result["rank"]), one_line(result["item_id"]), f"{result['score']:.4f}") for result in record["results"]]
    header, rule, *table = text_table(("rank", "id", "score"), rows).split("\n")
    lines += [f"{header}  title", f"{rule}  -----"]
    for line, result in zip(table, record["results"], strict=True):
        lines.append(f"{line}  {one_line(result['title'])}")
        lines += [
            f"      {_list_name(part)}: {part['contribution']:.4f} (weight {part['weight']:.4f}, E {part['raw_score']:.4f})"
            + (f", by the list of code {part['served_by']}" if part["served_by"] != part["code"] else "")
            for part in result.get("contributions", [])
        ]
    return "\n".join(lines)


def _list_name(part: dict[str, Any]) -> str:
    return f"item {one_line(part['list_of_item'])}" if "list_of_item" in part else f"code {part['code']}"


def _lines_of(path: Path, what: str) -> list[tuple[str, str]]:
    """Lines of a text file that are not empty, each after its place for messages; one is needed."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8") from error
    found = [(f"{path}, line {number}: ", line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise ValueError(f"{path} has no {what}")
    return found


def _parse_about(flags: list[str]) -> dict[str, str]:
    pairs = [flag.partition("=") for flag in flags]
    if bad := next(("".join(pair) for pair in pairs if not all(part.strip() for part in pair)), None):
        raise ValueError(f"--about must be NAME=VALUE, such as gender=F; got {bad!r}")
    names = [name for name, _, _ in pairs]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"--about gives {again} twice; one value is allowed")
    return {name: value for name, _, value in pairs}


def _parse_line(place: str, line: str) -> Query:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{place}not valid JSON: {error}") from error
    return parse_query(place, row)
