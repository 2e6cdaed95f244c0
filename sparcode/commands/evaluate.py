"""`sparcode evaluate`: measure a kept run again, at any threshold and in any layout of its index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sparcode.commands.data_source import DATA, DataSource
from sparcode.commands.flags import DepthOption, DeviceOption, ThreadsOption, with_groups, within_catalogue
from sparcode.commands.process import set_threads
from sparcode.commands.serving import SERVING, ServingFlags
from sparcode.commands.terminal import say
from sparcode.data.evaluation_protocol import PROTOCOLS
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split

if TYPE_CHECKING:
    from sparcode.index.pruning import Cut
    from sparcode.metrics.evaluation import DirectCheck
    from sparcode.runs.store import Run


@with_groups(source=DATA, serving=SERVING)
def evaluate(
    source: DataSource,
    serving: ServingFlags,
    run: Annotated[Path, typer.Argument(help="Folder of a run, as written by `sparcode train --out`.")],
    split: Annotated[Literal["validation", "test"], typer.Option(help="Users to measure on.")] = "test",
    k: DepthOption = None,
    threads: ThreadsOption = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Measure a run's accuracy, latency and size again, on the data it was trained with."""
    # These take seconds to import; bad usage is answered before.
    from sparcode.comparison.table import check_record, without_nan
    from sparcode.device import choose_device
    from sparcode.metrics.evaluation import direct_check
    from sparcode.metrics.evaluation import evaluate as measure
    from sparcode.runs.store import load_run
    from sparcode.training.pipeline import serve

    set_threads(threads)
    place = choose_device(device)
    loaded = load_run(run)
    loaded.model.to(place)
    cut = serving.cut(loaded)
    parts = matching_data(loaded, run, source, as_json)[1]
    k = within_catalogue(k or PROTOCOLS[loaded.config.split.protocol].default_k, loaded.data.n_items)
    users = parts.test if split == "test" else parts.validation
    retriever = serve(loaded.model, loaded.index, serving.index_config(loaded), cut)
    result = measure(retriever, users, k)
    # Direct scoring knows no lists, so nothing to hold against lists that were cut at a number of scores.
    check = None if cut.per_list else direct_check(retriever, loaded.model, cut.threshold, users, k)
    record = {
        "run_id": loaded.run_id,
        "data": vars(loaded.data),
        "split": split,
        **index_record(loaded, serving, cut._replace(threshold=retriever.threshold), parts),
        "unseen_codes": retriever.unseen_codes,
        **result._asdict(),
        "latency": result.latency._asdict(),
        "check": None if check is None else check_record(check),
    }
    say(json.dumps(without_nan(record), allow_nan=False) if as_json else evaluation_text(loaded, record, check))


def index_record(run: Run, serving: ServingFlags, cut: Cut, parts: Split) -> dict[str, Any]:
    """What a run's index holds as it is served, and how training queries use its codes, as plain values."""
    from sparcode.index.pruning import bytes_as
    from sparcode.metrics.evaluation import code_usage

    index, layout = run.index, serving.index_config(run).postings
    heads = index.below(run.model.first_list_code)
    kept, usage = index.kept_postings(*cut), code_usage(run.model, parts.train_queries, index.n_lists)
    return {
        "layout": layout,
        "threshold": cut.threshold,
        "per_list": cut.per_list or None,
        "density": heads.kept_postings(*cut) / max(1, heads.n_lists * heads.n_items),
        "postings": kept,
        "index_bytes": sum(bytes_as(layout, index, kept).values()),
        "codes_in_use": usage.codes_in_use,
        "possible_codes": usage.possible_codes,
        "perplexity": usage.perplexity.tolist(),
        "dead_share": usage.dead_share.tolist(),
    }


def matching_data(run: Run, folder: Path, source: DataSource, quiet: bool) -> tuple[Interactions, Split]:
    """The data given, or the synthetic default for a run of synthetic data, and its split by the run's settings.

    ValueError if it is not the data the run was trained on.
    """
    if run.config.split.protocol == "strong" and source.data is None and not run.data.synthetic:
        raise ValueError(f"{folder} was trained on {run.data.name!r}; give the same data with --data")
    data, split = source.load_split(run.config.split, quiet)
    if data.parts and not run.data.parts:
        raise ValueError(
            f"{folder} is from a version of sparcode whose runs did not keep which test part they were measured on, so it cannot be told "
            "whether this is the same; train it again"
        )
    if differing := [part for part in data.parts if data.parts[part] != run.data.parts.get(part)]:
        what = f"{' and '.join(differing)} part{'s' * (len(differing) > 1)}"
        raise ValueError(f"{folder} was trained on {run.data.name!r} with another {what} than the data given has; give the same files")
    if (given := data.content_hash()) != run.data.content_hash:
        raise ValueError(
            f"{folder} was trained on {run.data.name!r} (content {run.data.content_hash}), the data given is {data.name!r} "
            f"(content {given}); give the same file, read in the same way"
        )
    if run.user_encoding is not None and run.user_encoding != split.user_encoding:
        raise ValueError(f"{folder} was trained with other side features of users than the data given has; give the same ones")
    return data, split


def evaluation_text(run: Run, record: dict, check: DirectCheck | None) -> str:
    """The figures as a table, and below it what they were measured on."""
    from sparcode.comparison.peers import SPARCODE
    from sparcode.comparison.table import check_line, data_line, readable_bytes, text_table
    from sparcode.device import device_of
    from sparcode.runs.machine import machine_facts

    k, latency = record["k"], record["latency"]
    size_bytes = sum(record["size_bytes"].values())
    header = ("model", f"Recall@{k}", f"NDCG@{k}", f"Precision@{k}", "p50 latency", "p95 latency", "index size")
    row = (
        SPARCODE,
        *(f"{record[name]:.4f}" for name in ("recall", "ndcg", "precision")),
        *(f"{latency[name]:.3f} ms" for name in ("p50_ms", "p95_ms")),
        readable_bytes(size_bytes),
    )
    lines = [
        text_table(header, [row]),
        "",
        data_line(run.data),
        f"Measured on {record['n_queries']:,} {record['split']} users",
        index_line(record),
        usage_line(record),
        *([] if check is None else [check_line(k, check, record["n_queries"])]),
        f"Machine: {machine_facts(device_of(run.model))}",
    ]
    return "\n".join(lines)


def index_line(record: dict[str, Any]) -> str:
    """What is kept of the index, its layout, and the bytes of its parts, lists computed for other codes included."""
    from sparcode.comparison.table import readable_bytes
    from sparcode.metrics.registry import METRICS

    at_most = f", at most {record['per_list']:,} per code" if record["per_list"] else ""
    parts = ", ".join(f"{part} {readable_bytes(size)}" for part, size in record["size_bytes"].items())
    # The table has what serving these users took, the lists computed for them included; the studio shows the index alone.
    computed = f", with lists computed for {record['unseen_codes']:,} codes that only these users have" if record["unseen_codes"] else ""
    return (
        f"Index: {record['density']:.1%} of scores kept (threshold {record['threshold']:.4g}{at_most}): {record['postings']:,} scores, "
        f"{METRICS['size_bytes'].text(record['index_bytes'])}; {record['layout']}: {parts}{computed}"
    )


def usage_line(record: dict[str, Any]) -> str:
    """Codes in use by training queries, and the codebooks' perplexity: its mean, and one by one."""
    from sparcode.metrics.registry import METRICS

    books, text = record["perplexity"], METRICS["perplexity"].text
    each = f" ({' / '.join(text(book) for book in books)})" if len(books) > 1 else ""
    mean = text(sum(books) / len(books))
    return f"Codes: {record['codes_in_use']:,} in use of {record['possible_codes']:,} possible, perplexity {mean}{each}"
