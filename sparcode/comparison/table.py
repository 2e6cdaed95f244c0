"""Figures as text tables and as plain records for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sparcode.comparison.run import ComparedRun
from sparcode.data.evaluation_protocol import PROTOCOLS
from sparcode.data.facts import DataFacts
from sparcode.metrics.evaluation import DirectCheck

DECIMALS = 4


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in (header, ["-" * width for width in widths], *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)


def readable_bytes(n_bytes: int) -> str:
    """Bytes in powers of 1000: ``1.23 MB``."""
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.995:
            break
        size, unit = size / 1000, larger
    return f"{size:.2f} {unit}" if unit != "B" else f"{n_bytes} B"


def data_line(facts: DataFacts, dropped: Mapping[str, int] | None = None) -> str:
    """The data set in one line, marked where it is synthetic."""
    parts = [f"{facts.n_users:,} users", f"{facts.n_items:,} items", f"{facts.n_interactions:,} interactions"]
    if dropped is not None:
        parts += [f"left out: {n:,} {reason}" for reason, n in dropped.items()] or ["0 rows dropped"]
    if facts.synthetic:
        parts.append("SYNTHETIC: made up by this program")
    return f"Data: {facts.name}: {', '.join(parts)}"


def check_line(k: int, check: DirectCheck, n_queries: int) -> str:
    """SparCode's recall through the index beside that of direct scoring, of the first of `n_queries` where not all were scored."""
    which = "" if check.n_queries == n_queries else f" ({check.n_queries:,} of {n_queries:,} users)"
    through, direct = (f"{recall:.{DECIMALS}f}" for recall in check[1:])
    return f"SparCode Recall@{k} through the index {through}, by direct scoring {direct}{which}"


def check_record(check: DirectCheck) -> dict[str, Any]:
    """The same as exact values."""
    return {"n_queries": check.n_queries, "recall_through_index": check.through_index, "recall_by_direct_scoring": check.direct}


def comparison_text(comparison: ComparedRun) -> str:
    """The table with its notes."""
    k, run, config = comparison.k, comparison.run, comparison.run.config
    header = ("model", f"Recall@{k}", f"NDCG@{k}", f"Precision@{k}", "p50 latency", "index size", "training")
    rows = [
        (
            row.name,
            *(f"{value:.{DECIMALS}f}" for value in (row.recall, row.ndcg, row.precision)),
            f"{row.p50_ms.middle:.3f} ms",
            readable_bytes(row.size_bytes),
            f"{row.train_seconds:.1f} s",
        )
        for row in comparison.rows
    ]
    computed = f" ({comparison.unseen_codes:,} more met in the test)" if comparison.unseen_codes else ""
    lists = run.model.lists
    beside = "" if lists is None else f", {len(lists.listed()):,} lists of items beside them"
    lines = [
        text_table(header, rows),
        "",
        data_line(run.data, comparison.dropped),
        f"Split: {comparison.n_train:,} users to train, {comparison.n_validation:,} to validate, {comparison.n_test:,} to test "
        f"(seed {config.split.seed}); all figures on the test users",
        f"Index: {comparison.density:.1%} of scores kept (threshold {comparison.threshold:.4g}), "
        f"{comparison.codes_in_use:,} codes in use{computed}{beside}",
        check_line(k, comparison.check, comparison.n_test),
        *(sentence[0].upper() + sentence[1:] for sentence in comparison.cut_short),
        *(f"{name} is left out: {reason}" for name, reason in comparison.left_out.items()),
        *([note.format(k=k)] if (note := PROTOCOLS[config.split.protocol].note) else []),
        "Index size: what is kept of items and codes; the encoder of the first three models comes on top",
        f"Machine: {run.machine}",
    ]
    return "\n".join(lines)


def comparison_record(comparison: ComparedRun) -> dict[str, Any]:
    """The table and its notes as exact plain values, for JSON."""
    run = comparison.run
    record = {
        "run_id": run.run_id,
        "data": {**vars(run.data), "dropped": dict(comparison.dropped)},
        "users": {"train": comparison.n_train, "validation": comparison.n_validation, "test": comparison.n_test},
        "k": comparison.k,
        "rows": [row.record() for row in comparison.rows],
        "left_out": dict(comparison.left_out),
        "cut_short": list(comparison.cut_short),
        "threshold": comparison.threshold,
        "density": comparison.density,
        "codes_in_use": comparison.codes_in_use,
        "unseen_codes": comparison.unseen_codes,
        "check": check_record(comparison.check),
        "config": run.config.model_dump(mode="json"),
        "machine": run.machine,
    }
    return without_nan(record)


def without_nan(value: Any) -> Any:
    """A nested value with None for numbers that JSON cannot hold."""
    if isinstance(value, Mapping):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
