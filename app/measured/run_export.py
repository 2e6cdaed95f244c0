"""A measured index as a run folder in a zip file, for `sparcode evaluate` and `sparcode retrieve`."""

from __future__ import annotations

import io
import shlex
import zipfile
from pathlib import Path
from typing import Final

from app.measured.measured_index import MeasuredIndex
from sparcode.comparison.peers import SPARCODE
from sparcode.comparison.run import data_facts
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split
from sparcode.index.whole_folder import passing_folder
from sparcode.metrics.evaluation import ExplorerPoint
from sparcode.runs.store import Run, save_run
from sparcode.training.epoch_record import EpochRecord

_WITH_USERS: Final = ("users", "both")


def run_of(
    measured: MeasuredIndex, point: ExplorerPoint, interactions: Interactions, split: Split, before: tuple[EpochRecord, ...], machine: str
) -> Run:
    """A complete index as a run, with its figures at one threshold as results; `before` are the epochs of its backbone.

    ValueError for a first look, whose index holds only some of the codes.
    """
    if not measured.complete:
        raise ValueError("the whole index is still being built; save the run once it is there")
    explorer, config = measured.explorer, measured.config
    result = {
        "name": SPARCODE,
        "kind": measured.called,
        "cut_short": measured.cut_short,
        "threshold": point.tau,
        "k": explorer.k,
        "recall": point.recall,
        "ndcg": point.ndcg,
        "precision": point.precision,
        "size_bytes": point.total_bytes,
        "postings": point.kept_postings,
        "codes_in_use": measured.usage.codes_in_use,
        "perplexity": float(measured.usage.perplexity.mean()),
    }
    item_ids = [str(item_id) for item_id in interactions.item_ids]
    seen = split.user_encoding if config.model.side_features in _WITH_USERS else None
    records = [*before, *measured.records]
    return Run(
        config, data_facts(interactions), explorer.model, explorer.index, item_ids, interactions.items, records, [result], machine, seen
    )


def run_zip(run: Run) -> bytes:
    """The run's folder, named by its id, as a zip file."""
    packed = io.BytesIO()
    with passing_folder("sparcode-export") as place:
        folder = save_run(run, place / run.run_id)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(place))
    return packed.getvalue()


def evaluate_command(run_id: str, threshold: float, source: str, flags: str = "") -> str:
    """The shell command that prints the figures of a saved run at a threshold.

    The threshold has all its digits, because a rounded one would cut elsewhere. Of a `source` path only the name is shown, since pages may
    be public. `flags` go with it, as they are.
    """
    data = "" if source == "synthetic" else f" --data {shlex.quote(Path(source).name)}"
    return f"sparcode evaluate {run_id} --threshold {threshold!r}{data}{flags and ' '}{flags}"
