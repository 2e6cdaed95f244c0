"""Records runs of the default data, which the studio shows at first: `python -m scripts.record_runs`. Takes about two minutes.

Trains with the studio's own settings and seed: the all-to-all backbone, SparCode fine-tuned for the codebooks that visitors meet first, its
index beside other ways to serve, and one training from scratch. Needed after every change of the default data, of default settings, or of
training. `--only servings` records the index beside other ways to serve anew and leaves the rest;
`--only scales` does so for growing catalogues of up to a million items, which takes longer than all else: a whole recording keeps them as
long as the settings are the same. `--only figures` records the figures of every encoder with every interaction network, one after the
other, each written as soon as it is there; `--pairs gru/mlp sasrec/dot` only some of them. A whole recording keeps these, too.
"""

from __future__ import annotations

import argparse
import datetime
import math
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from app.jobs.job import JobHandle
from app.jobs.manager import JobManager
from app.measured.measured_index import MeasuredIndex, ModelFacts, measure
from app.measured.scaling import LARGEST, ScaleMeasurements, sizes_for
from app.measured.serving import LANE as SERVING_LANE
from app.measured.serving import ServingMeasurements
from app.models.backbones import Backbones
from app.models.trained import Backbone, Tuned
from app.models.tuned import fine_tune_within
from app.recorded.files import (
    ALL_STAGES,
    BACKBONE_STAGES,
    DESCRIPTION,
    RECORDED_VERSION,
    TUNED_STAGES,
    BackboneEntry,
    Description,
    ScaleEntry,
    ScaleFacts,
    ServingEntry,
    ServingFacts,
    TrainingEntry,
    TunedEntry,
    TwoTowerEntry,
    address,
    in_half_precision,
    plain,
    read_description,
    write_folder,
    write_usage,
    write_weights,
)
from app.recorded.runs import RecordedRuns
from app.session import loaders
from app.session.configuration import Configuration
from app.training.control import TrainingControl
from app.training.run import EpochPoint, train_from_scratch, train_two_tower_baseline
from scripts.record_figures import PAIRS, pair_configs, record_figures
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.training import Models, Trained
from sparcode.config import DEFAULT_K, RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.metrics.evaluation import accuracy
from sparcode.model.all_to_all import AllToAllModel
from sparcode.retrieval.exact import ExactRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import preview, train_backbone

# M and K one step of a slider away from the default, and both; visitors can watch the training of all others.
CODEBOOKS: Final = ((1, 128), (2, 256), (2, 128))


class Recorder:
    """Trains, measures and writes one record after the other to a folder."""

    def __init__(self, data: Interactions, config: RunConfig, folder: Path) -> None:
        self.data, self.config, self.folder = data, config, folder
        self.split: Split = split_users(data, config.split)
        self._hash = data.content_hash()

    def backbone(self) -> tuple[AllToAllModel, Backbone, BackboneEntry]:
        """The trained backbone, which SparCode starts from; the backbone rounded, as the studio reads it, and measured; its record."""
        started = time.perf_counter()
        model, records = train_backbone(self.split, self.config, device="cpu", with_start=True)
        seconds = time.perf_counter() - started
        kept = in_half_precision(model)
        recall, ndcg, _ = accuracy(ExactRetriever(kept), self.split.test, DEFAULT_K)
        said = self._address(self.config, BACKBONE_STAGES)
        entry = BackboneEntry(
            **said,
            weights=write_weights(kept, self.folder, f"backbone-{said['address']}"),
            records=plain(records),
            recall=recall,
            ndcg=ndcg,
            seconds=seconds,
        )
        _say("backbone", f"Recall@{DEFAULT_K} {recall:.4f}", seconds)
        return model, Backbone(kept, tuple(records), recall, ndcg, seconds), entry

    def tuned(self, backbone: AllToAllModel, config: RunConfig) -> tuple[Tuned, TunedEntry]:
        """SparCode for one quantizer, fine-tuned for all epochs."""
        started = time.perf_counter()
        model = preview(backbone, self.split, config)
        records, _ = fine_tune_within(model, self.split, config, math.inf, lambda record: None, lambda: False)
        seconds = time.perf_counter() - started
        kept = in_half_precision(model)
        said = self._address(config, TUNED_STAGES)
        weights = write_weights(kept, self.folder, f"sparcode-{said['address']}")
        entry = TunedEntry(**said, weights=weights, records=plain(records), seconds=seconds)
        books = config.quantizer
        _say(f"M = {books.n_codebooks}, K = {books.codebook_size}", f"validation {max(record.recall for record in records):.4f}", seconds)
        return Tuned(kept, tuple(records), seconds, False), entry

    def measurements(self, backbone: Backbone, tuned: Tuned, jobs: JobManager) -> ServingMeasurements:
        """Measurements of the recorded model as the studio makes them."""
        index = self.index(tuned)
        backbones = Backbones(self.split, jobs, SERVING_LANE, lambda config: backbone)
        return ServingMeasurements(self.split, self.data.name, jobs, backbones, lambda: [index], jobs.running)

    def index(self, tuned: Tuned) -> MeasuredIndex:
        """The index of a model, measured at a few stops."""
        facts = ModelFacts("recorded", self.config, tuned.records, lambda: tuned.seconds, cut_short=False)
        return measure(tuned.model, facts, self.split, lambda measured: None, lambda: None)

    def two_tower(self, config: RunConfig) -> tuple[Trained, TwoTowerEntry]:
        """The two-tower model rounded, as the studio reads it, and its record."""
        trained = Models(self.split, config, device="cpu").get("two-tower")
        kept = trained._replace(model=in_half_precision(trained.model))
        said = self._address(config, BACKBONE_STAGES)
        weights = write_weights(kept.model, self.folder, f"two-tower-{said['address']}")
        _say("two-tower", f"{trained.epochs} epochs", trained.seconds)
        return kept, TwoTowerEntry(**said, weights=weights, records=plain(trained.records), seconds=trained.seconds)

    def scale(self, backbone: Backbone, tuned: Tuned, two_tower: Trained, sizes: Sequence[int], jobs: JobManager) -> ScaleEntry:
        """Every way to serve on catalogues of these sizes."""
        index, backbones = self.index(tuned), Backbones(self.split, jobs, SERVING_LANE, lambda config: backbone)
        name = self.data.name
        serving = ServingMeasurements(
            self.split, name, jobs, backbones, lambda: [index], jobs.running, recorded_two_tower=lambda config: two_tower
        )
        scaling = ScaleMeasurements(self.split, name, jobs, backbones, serving, lambda: [index])
        started = scaling.start(self.config, "recorder", sizes)
        ended = jobs.wait(started.key, lambda job: False, threading.TIMEOUT_MAX)
        result = scaling.result(self.config)
        if result is None:
            raise RuntimeError(f"the measurement on growing catalogues has no result: {ended.error}")
        said = f"{len(result.points)} points, load {result.load:.2f} per core"
        _say("growing catalogues", f"{said}: {result.load_words}" if result.load_words else said, sum(result.seconds.values()))
        return ScaleEntry(
            **self._address(self.config, ALL_STAGES),
            points=plain(result.points),
            left_out=plain(result.left_out),
            seconds=list(result.seconds.items()),
            facts=ScaleFacts(**plain({name: getattr(result, name) for name in ScaleFacts.model_fields})),
        )

    def serving(self, serving: ServingMeasurements, jobs: JobManager) -> ServingEntry:
        """SparCode's index beside its peers at several settings."""
        started = serving.start(self.config, "recorder")
        ended = jobs.wait(started.key, lambda job: False, threading.TIMEOUT_MAX)
        result = serving.result(self.config)
        if result is None:
            raise RuntimeError(f"the measurement of the index beside its peers has no result: {ended.error}")
        _say("beside its peers", f"{len(result.points)} settings", result.seconds)
        return ServingEntry(
            **self._address(self.config, ALL_STAGES),
            points=[_serving_row(point) for point in result.points],
            left_out=list(result.left_out),
            facts=ServingFacts(**{name: getattr(result, name) for name in ServingFacts.model_fields}),
        )

    def training(self) -> TrainingEntry:
        """A training from scratch, two-tower included, with the codes' use per epoch."""
        points: list[EpochPoint] = []
        handle = _handle(points)
        result = train_from_scratch(
            self.split,
            self.config,
            TrainingControl(),
            handle,
            lambda watch: train_two_tower_baseline(self.split, self.config, handle, watch),
        )
        said = self._address(self.config, ALL_STAGES)
        usage = write_usage([point.usage for point in points if point.usage is not None], self.folder, f"training-{said['address']}")
        _say("from scratch", f"Recall@{DEFAULT_K} {result.recall:.4f}", result.seconds)
        without_usage = [{name: value for name, value in plain(point._replace(usage=None)).items() if name != "usage"} for point in points]
        return TrainingEntry(**said, points=without_usage, usage=usage, result=plain(result))

    def _address(self, config: RunConfig, stages: tuple[str, ...]) -> dict[str, Any]:
        said = {stage: getattr(config, stage).model_dump(mode="json") for stage in stages}
        return {"address": address(self._hash, config, stages), "config": said}


def main() -> None:
    """Record everything, replacing earlier records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=loaders.RECORDED_FOLDER, help="folder for the recorded runs")
    parser.add_argument("--only", choices=["servings", "scales", "figures"], help="record this part anew, and leave the others as they are")
    parser.add_argument(
        "--pairs", nargs="+", choices=PAIRS, default=PAIRS, metavar="ENCODER/INTERACTION", help="with --only figures: these alone"
    )
    asked = parser.parse_args()
    out: Path = asked.out
    # As in the studio's jobs, so that times can be compared.
    torch.set_num_threads(1)
    data = load("synthetic")
    config = loaders.run_config(data.synthetic)
    out.parent.mkdir(parents=True, exist_ok=True)
    size = record_figures(data, config, out, asked.pairs) if asked.only == "figures" else _record_to(out, data, config, asked.only)
    for file in sorted(out.iterdir()):
        print(f"{file.stat().st_size:>10,} bytes  {file.name}")
    print(f"{size:>10,} bytes  in all, in {out}")


def _record_to(out: Path, data: Interactions, config: RunConfig, only: str | None) -> int:
    """Record everything, or one part anew, to a folder; returns the bytes written."""
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-new-", dir=out.parent) as temporary:
        files = Path(temporary) / "files"
        files.mkdir()
        recorder = Recorder(data, config, files)
        if only:
            described = with_new_part(recorder, out, only)
        else:
            others = [Configuration(m=str(n_books), k=str(size)).run_config(config) for n_books, size in CODEBOOKS]
            described = with_earlier_parts(record(recorder, others), recorder, out)
        return write_folder(described, files, out)


def record(recorder: Recorder, others: Sequence[RunConfig]) -> Description:
    """Make and describe every record; `others` are settings with another quantizer, fine-tuned beside the recorder's own."""
    data, config = recorder.data, recorder.config
    trained, backbone, backbone_entry = recorder.backbone()
    tuned, tuned_entry = recorder.tuned(trained, config)
    with _one_lane() as jobs:
        beside_peers = recorder.serving(recorder.measurements(backbone, tuned, jobs), jobs)
    return Description(
        format_version=RECORDED_VERSION,
        day=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=machine_facts(),
        versions={"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        data={"name": data.name, "n_users": data.n_users, "n_items": data.n_items, "n_interactions": data.n_interactions},
        data_hash=data.content_hash(),
        backbones=[backbone_entry],
        tuned=[tuned_entry, *(recorder.tuned(trained, other)[1] for other in others)],
        trainings=[recorder.training()],
        servings=[beside_peers],
    )


def with_new_part(recorder: Recorder, folder: Path, part: str, sizes: Sequence[int] = ()) -> Description:
    """The description of a recording with one part made anew; its other files are copied to the recorder's folder.

    ``"servings"`` are the measurements beside peers; ``"scales"`` those on growing catalogues (of `sizes`, by default up to a million
    items) with their two-tower model.
    """
    recorded = RecordedRuns.opened(folder, recorder.data, recorder.config)
    backbone, tuned = recorded.backbone(recorder.config), recorded.tuned(recorder.config)
    if backbone is None or tuned is None:
        raise ValueError(f"{folder} holds no usable models of the default settings; record everything")
    for file in folder.iterdir():
        shutil.copy(file, recorder.folder)
    with _one_lane() as jobs:
        if part == "servings":
            entry = recorder.serving(recorder.measurements(backbone, tuned, jobs), jobs)
            return read_description(folder).model_copy(update={"servings": [entry]})
        for file in recorder.folder.glob("two-tower-*"):
            file.unlink()
        two_tower, of_two_tower = recorder.two_tower(recorder.config)
        scale = recorder.scale(backbone, tuned, two_tower, sizes or (*sizes_for(recorder.data.n_items), LARGEST), jobs)
    return read_description(folder).model_copy(update={"two_towers": [of_two_tower], "scales": [scale]})


def with_earlier_parts(described: Description, recorder: Recorder, folder: Path) -> Description:
    """The description with what takes long of an earlier recording, where it is of the same settings.

    These are the measurements on growing catalogues and the figures of every encoder and interaction; `--only` makes them anew.
    """
    if not (folder / DESCRIPTION).is_file():
        return described
    earlier = read_description(folder)
    wanted = address(earlier.data_hash, recorder.config, ALL_STAGES)
    scales = [entry for entry in earlier.scales if entry.address == wanted and earlier.data_hash == described.data_hash]
    two_towers = earlier.two_towers if scales else []
    for entry in two_towers:
        shutil.copy(folder / entry.weights.name, recorder.folder)
    wanted = {address(earlier.data_hash, other, ALL_STAGES) for other in pair_configs(recorder.config).values()}
    figures = [entry for entry in earlier.figures if entry.address in wanted and earlier.data_hash == described.data_hash]
    return described.model_copy(update={"scales": scales, "two_towers": two_towers, "figures": figures})


@contextmanager
def _one_lane() -> Iterator[JobManager]:
    """Jobs one after the other, on one thread as in the studio."""
    jobs = JobManager({SERVING_LANE: 1}, on_worker_start=lambda: torch.set_num_threads(1))
    try:
        yield jobs
    finally:
        jobs.close()


def _handle(records: list[Any]) -> JobHandle:
    """The handle of work that runs here, not in a job."""
    return JobHandle(records.append, threading.Event().is_set)


def _serving_row(point: Measurement) -> dict[str, Any]:
    # Six digits tell apart all shares that a recall can be.
    recall = [None if math.isnan(value) else round(value, 6) for value in point.recall_by_query.tolist()]
    return {name: value for name, value in plain(point._replace(recall_by_query=None)).items() if name != "trained_where"} | {
        "recall_by_query": recall
    }


def _say(what: str, figure: str, seconds: float) -> None:
    print(f"{what}: {figure}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
