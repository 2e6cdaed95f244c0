"""Runs of the studio in a folder: kept by name, opened, exported, deleted. Each is a run folder for the command line, with its sources."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError

from app.kept.listing import KEPT, KEPT_VERSION, LONGEST_NAME, KeptAbout, as_name, is_name, kept_names, read_about
from app.kept.models import KeptModels, described_points
from app.recorded.files import plain
from app.training.data import interactions_bytes
from app.training.plan import FinishedRun
from sparcode.comparison.peers import SPARCODE
from sparcode.comparison.run import data_facts
from sparcode.config import DEFAULT_K
from sparcode.data.interactions import Interactions
from sparcode.index.whole_folder import remove_whole
from sparcode.runs.sources import Sources, check_sources, load_sources, write_sources
from sparcode.runs.store import Run, load_run, save_run

MOST_RUNS: Final = 100
# A run has at most so many bytes, and all together.
MOST_RUN_BYTES: Final = 2**30
MOST_BYTES: Final = 8 * 2**30


class OpenedRun(NamedTuple):
    """A kept run as a studio takes it: its settings, its data, and its models."""

    run: Run
    interactions: Interactions
    models: KeptModels


class KeptRuns:
    """The runs in a folder, which is made with the first one; None: nothing is kept. Safe to share between threads and processes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path | None:
        """Where they are."""
        return self._folder

    @property
    def can_keep(self) -> bool:
        """Whether there is a folder for runs."""
        return self._folder is not None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the kept runs, by name."""
        return () if self._folder is None else kept_names(self._folder)

    def about(self, name: str) -> KeptAbout | None:
        """The description of a run; None if there is none of this name, or it is damaged."""
        return None if self._folder is None or not is_name(name) else read_about(self._folder, name)

    def stamp(self, name: str) -> str:
        """Tells a run from another one that was kept by its name before or after; empty if there is none."""
        try:
            found = (self._place(name) / KEPT).stat()
        except (OSError, ValueError):
            return ""
        return f"{found.st_size}-{found.st_mtime_ns}"

    def free_name(self, text: str) -> str:
        """A name for another run, made of any text, with a number where the plain one is taken."""
        wanted, taken = as_name(text), set(self.names)
        if wanted not in taken:
            return wanted
        # There are at most `MOST_RUNS` names.
        numbered = (f"{wanted[: LONGEST_NAME - 4].strip('-')}-{number}" for number in range(2, MOST_RUNS + 3))
        return next(name for name in numbered if name not in taken)

    def keep(self, name: str, finished: FinishedRun) -> str:
        """Write a finished run, and return its name.

        ValueError, with what is allowed, if the name is not possible or taken, there are too many runs, they take too many bytes, or the
        data cannot be kept; OSError if it cannot be written.
        """
        folder = self._place(name)
        if name in self.names:
            raise ValueError(f"there is a run {name!r} already; choose another name")
        interactions = finished.plan.data.interactions()
        check_sources(interactions, finished.plan.config)
        self._check_room(finished.model_bytes + interactions_bytes(interactions))
        sources = Sources(interactions, finished.models.backbone)
        about = _about(finished, interactions)

        def beside(new: Path) -> None:
            write_sources(new, sources)
            (new / KEPT).write_text(json.dumps(about.model_dump(mode="json"), allow_nan=False), encoding="utf-8")

        save_run(_run(finished, interactions), folder, beside=beside)
        return name

    def open(self, name: str) -> OpenedRun:
        """Read a run and check it; ValueError if there is none of this name, or it is damaged; names the file."""
        folder = self._place(name)
        if name not in self.names:
            raise ValueError(f"there is no run {name!r} (any more); kept are {', '.join(self.names) or 'none'}")
        run = load_run(folder)
        sources = load_sources(folder, run)
        if (about := self.about(name)) is None:
            raise ValueError(f"{KEPT} of the run {name!r} is damaged")
        try:
            models = KeptModels(name, run, sources, about)
        except ValidationError as error:
            raise ValueError(f"{KEPT} of the run {name!r} is damaged: {error.errors()[0]['msg']}") from error
        return OpenedRun(run, sources.interactions, models)

    def export(self, name: str) -> bytes:
        """The run's folder as a zip file, with its histories; unpacked into a folder of runs, it is kept there. Errors as for `open`."""
        folder, packed = self._place(name), io.BytesIO()
        if name not in self.names:
            raise ValueError(f"there is no run {name!r} (any more)")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(folder.parent))
        return packed.getvalue()

    def delete(self, name: str) -> None:
        """Remove a run, if it is still there; OSError if that is not permitted."""
        folder = self._place(name)
        if name in self.names:
            remove_whole(folder)

    def _place(self, name: str) -> Path:
        if self._folder is None:
            raise ValueError("this studio keeps no runs")
        if not is_name(name):
            raise ValueError(
                f"a run's name has small letters, digits and single hyphens between them, at most {LONGEST_NAME}; got {name[:80]!r}"
            )
        return self._folder / name

    def _check_room(self, n_bytes: int) -> None:
        if len(self.names) >= MOST_RUNS:
            raise ValueError(f"{MOST_RUNS} runs are kept, the most there may be; delete one first")
        if n_bytes > MOST_RUN_BYTES:
            raise ValueError(f"the run takes {n_bytes / 2**20:,.0f} MB; at most {MOST_RUN_BYTES / 2**20:,.0f} MB are kept")
        taken = sum(path.stat().st_size for name in self.names for path in (self._folder / name).rglob("*") if path.is_file())
        if taken + n_bytes > MOST_BYTES:
            raise ValueError(f"kept runs take {taken / 2**20:,.0f} of {MOST_BYTES / 2**20:,.0f} MB, too much for another one; delete one")


def _run(finished: FinishedRun, interactions: Interactions) -> Run:
    config, models, result = finished.plan.config, finished.models, finished.result
    row = {
        "name": SPARCODE,
        "kind": "trained from scratch",
        "threshold": models.model.threshold,
        "k": DEFAULT_K,
        "recall": result.recall,
        "ndcg": result.ndcg,
        "size_bytes": result.size_bytes,
    }
    item_ids = [str(item_id) for item_id in interactions.item_ids]
    records = [*models.backbone_records, *models.records]
    data = data_facts(interactions)
    return Run(config, data, models.model, models.index, item_ids, interactions.items, records, [row], result.machine)


def _about(finished: FinishedRun, interactions: Interactions) -> KeptAbout:
    data, books, models = finished.plan.data, finished.plan.config.quantizer, finished.models
    return KeptAbout(
        format_version=KEPT_VERSION,
        day=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=finished.result.machine,
        data=interactions.name,
        synthetic=interactions.synthetic,
        facts=data.facts,
        data_key=data.key,
        n_codebooks=books.n_codebooks,
        codebook_size=books.codebook_size,
        n_nearest=books.n_nearest,
        n_backbone_records=len(models.backbone_records),
        backbone_recall=models.backbone_recall,
        backbone_ndcg=models.backbone_ndcg,
        points=described_points(finished.points),
        result=plain(finished.result),
    )
