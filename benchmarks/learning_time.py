"""How long the studio learns, without a browser: training from scratch, the preview of a setting, and its fine-tuning.

    python -m benchmarks.learning_time

Everything runs as in the studio, on the built-in data. From scratch ends at SparCode's first epoch within 1% of its final validation
recall; preview and fine-tuning end at the first figures of the test users. Prints a table; the last line holds the slowest of each kind in
seconds.
"""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

import torch

from app.measured.measured_index import MeasuredIndex, ModelFacts, measure
from app.measured.setting_jobs import LEAST_TUNING_SECONDS, LIVE_SECONDS
from app.models.tuned import fine_tune_within
from app.session.loaders import run_config
from benchmarks.command import Quick, Threads, print_figures, run_command
from sparcode.config import RunConfig
from sparcode.data.loading import load
from sparcode.data.split import Split, split_users
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.machine import machine_facts
from sparcode.training.epoch_record import EpochRecord, ignore_record, never_stop
from sparcode.training.pipeline import fine_tune, preview, train_backbone

SETTINGS = ((1, 128), (1, 256), (2, 32), (2, 128), (2, 256), (4, 128))
QUICK = ((2, 128),)
NEAR = 0.99


class Waits(NamedTuple):
    """Seconds at one setting, and the processor time of the training from scratch."""

    within_one_percent_s: float
    preview_s: float
    fine_tune_s: float
    within_one_percent_processor_s: float


class _Shown(Exception):
    """The first figures are there."""


def main(
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Measure, print the table and the slowest waits."""
    torch.set_num_threads(threads)
    data = load("synthetic")
    config = run_config(synthetic=True)
    split = split_users(data, config.split)
    started, worked = time.perf_counter(), time.process_time()
    backbone, records = train_backbone(split, config)
    backbone_seconds, processor = time.perf_counter() - started, time.process_time() - worked
    print(f"backbone: {len(records)} epochs in {backbone_seconds:.1f} s, {processor:.1f} s of processor time", file=sys.stderr)
    print(f"{data!r}, {machine_facts()}\n")
    print("| M | K | from scratch to within 1% | preview | fine-tuned | processor time from scratch |\n|---|---|---|---|---|---|")
    rows = []
    for n_codebooks, codebook_size in QUICK if quick else SETTINGS:
        chosen = changed(config, n_codebooks, codebook_size, joint_epochs=8 if quick else config.training.joint_epochs)
        passed, worked = joint_seconds(backbone, split, chosen)
        waits = Waits(backbone_seconds + passed, *live_waits(backbone, split, chosen), processor + worked)
        rows.append(waits)
        print(f"| {n_codebooks} | {codebook_size} | {' | '.join(f'{seconds:.2f} s' for seconds in waits)} |", flush=True)
    slowest = {name: max(values) for name, values in zip(Waits._fields, zip(*rows, strict=True), strict=True)}
    print_figures(slowest, 2)


def changed(config: RunConfig, n_codebooks: int, codebook_size: int, joint_epochs: int) -> RunConfig:
    """The studio's settings at another M and K."""
    values = config.model_dump()
    values["quantizer"] |= {"n_codebooks": n_codebooks, "codebook_size": codebook_size}
    values["training"]["joint_epochs"] = joint_epochs
    return RunConfig.model_validate(values)


def joint_seconds(backbone: AllToAllModel, split: Split, config: RunConfig) -> tuple[float, float]:
    """Time from the trained backbone to the first epoch within 1% of the best validation recall, preview included: passed, worked."""
    reached: list[tuple[float, float, float]] = []
    started, worked = time.perf_counter(), time.process_time()

    def note(record: EpochRecord) -> None:
        reached.append((record.recall, time.perf_counter() - started, time.process_time() - worked))

    fine_tune(preview(backbone, split, config), split, config, note)
    final = max(recall for recall, _, _ in reached)
    return next((passed, processor) for recall, passed, processor in reached if recall >= NEAR * final)


def live_waits(backbone: AllToAllModel, split: Split, config: RunConfig) -> tuple[float, float]:
    """Seconds to the first figures of the preview, and from there to those of the fine-tuned model."""
    started = time.perf_counter()
    show(preview(backbone, split, config), split, config)
    spent = time.perf_counter() - started
    started = time.perf_counter()
    model = preview(backbone, split, config)
    seconds = max(LEAST_TUNING_SECONDS, LIVE_SECONDS - 3 * spent)
    records, _ = fine_tune_within(model, split, config, seconds, ignore_record, never_stop)
    show(model, split, config, records)
    return spent, time.perf_counter() - started


def show(model: SparCodeModel, split: Split, config: RunConfig, records: list[EpochRecord] | None = None) -> None:
    """Measure a model up to its first figures."""

    def stop(stage: MeasuredIndex) -> None:
        raise _Shown

    facts = ModelFacts("fine-tuned" if records else "preview", config, tuple(records or ()), lambda: 0.0, cut_short=False)
    try:
        measure(model, facts, split, stop, lambda: None)
    except _Shown:
        return


if __name__ == "__main__":
    run_command(main)
