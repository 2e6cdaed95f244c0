"""Records the figures of the default data with every encoder and every interaction network, at the default M, K, P, T and seed.

Models are not kept: a pair's take 1.6 MB, its figures 10 KB. `python -m scripts.record_runs --only figures` calls it.
"""

from __future__ import annotations

import datetime
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Final, get_args

from app.measured.measured_index import ModelFacts, measure, refine, time_stops
from app.models.tuned import fine_tune_within
from app.recorded.figures import described_curve, described_latencies, described_usage
from app.recorded.files import (
    ALL_STAGES,
    BACKBONE_STAGES,
    FiguresEntry,
    FiguresFacts,
    address,
    in_half_precision,
    read_description,
    write_folder,
)
from sparcode.config import DEFAULT_K, ModelConfig, RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import Split, split_users
from sparcode.metrics.evaluation import accuracy
from sparcode.retrieval.exact import ExactRetriever
from sparcode.runs.machine import machine_facts
from sparcode.training.pipeline import preview, train_backbone

_ENCODERS, _INTERACTIONS = (get_args(ModelConfig.model_fields[name].annotation) for name in ("encoder", "interaction"))
_USUAL: Final = (ModelConfig().encoder, ModelConfig().interaction)
# Those that differ from the default in one thing first.
PAIRS: Final = tuple(
    f"{encoder}/{interaction}"
    for encoder, interaction in sorted(
        product(_ENCODERS, _INTERACTIONS), key=lambda pair: sum(one != usual for one, usual in zip(pair, _USUAL, strict=True))
    )
)


def pair_configs(config: RunConfig) -> dict[str, RunConfig]:
    """Settings of every pair, by its name in `PAIRS`; everything else as in `config`."""
    made = {}
    for pair in PAIRS:
        encoder, _, interaction = pair.partition("/")
        model = config.model.model_copy(update={"encoder": encoder, "interaction": interaction})
        made[pair] = RunConfig.model_validate(config.model_copy(update={"model": model}).model_dump())
    return made


def record_figures(data: Interactions, config: RunConfig, folder: Path, pairs: Sequence[str] = PAIRS) -> int:
    """Record these pairs anew, each written to the recording in `folder` as soon as it is measured; returns the bytes written.

    ValueError if the folder holds no recording of this data.
    """
    if read_description(folder).data_hash != data.content_hash():
        raise ValueError(f"{folder} holds runs of other data; record everything first")
    split, configs, size = split_users(data, config.split), pair_configs(config), 0
    for pair in pairs:
        entry = figures_entry(split, configs[pair], data.content_hash())
        facts = entry.facts
        told = f"backbone {facts.backbone_recall:.4f} in {facts.backbone_seconds:.0f} s, fine-tuned in {facts.seconds:.0f} s"
        print(f"{pair}: Recall@{facts.k} {told} of processor time", flush=True)
        size = _with_entry(folder, entry)
    return size


def figures_entry(split: Split, config: RunConfig, data_hash: str) -> FiguresEntry:
    """Train and fine-tune a setting, all epochs, and measure it as the studio does."""
    started = time.process_time()
    model, backbone_records = train_backbone(split, config, device="cpu", with_start=True)
    trained = time.process_time()
    recall, _, _ = accuracy(ExactRetriever(model), split.test, DEFAULT_K)
    tuned = preview(model, split, config)
    tuning = time.process_time()
    records, _ = fine_tune_within(tuned, split, config, math.inf, lambda record: None, lambda: False)
    seconds = time.process_time() - tuning
    facts = ModelFacts("recorded", config, tuple(records), lambda: seconds, cut_short=False)
    # Rounded as the models are that the studio ships, so that their figures are the same ones.
    measured = refine(measure(in_half_precision(tuned), facts, split, lambda _: None, _go_on), lambda _: None, _go_on)
    time_stops(measured, lambda: False, _go_on)
    return FiguresEntry(
        address=address(data_hash, config, ALL_STAGES),
        config={stage: getattr(config, stage).model_dump(mode="json") for stage in ALL_STAGES},
        backbone=address(data_hash, config, BACKBONE_STAGES),
        curve=described_curve(measured.curve),
        usage=described_usage(measured.usage),
        latencies=described_latencies(measured),
        facts=FiguresFacts(
            k=measured.explorer.k,
            n_queries=len(split.test.queries),
            n_epochs=measured.n_epochs,
            backbone_epochs=len(backbone_records) - 1,
            seconds=round(seconds, 2),
            backbone_seconds=round(trained - started, 2),
            backbone_recall=recall,
            machine=machine_facts(),
            day=datetime.datetime.now(datetime.UTC).date().isoformat(),
        ),
    )


def _with_entry(folder: Path, entry: FiguresEntry) -> int:
    described = read_description(folder)
    kept = [other for other in described.figures if other.address != entry.address]
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-new-", dir=folder.parent) as temporary:
        files = Path(shutil.copytree(folder, Path(temporary) / "files"))
        return write_folder(described.model_copy(update={"figures": [*kept, entry]}), files, folder)


def _go_on() -> None:
    """Nothing ends the measurement."""
