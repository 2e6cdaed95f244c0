"""The charts of a training from scratch, the numbers behind them, and the table of earlier runs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.charts.epoch_lines import EpochLinesData, epoch_lines_figure
from app.charts.run_lines import Ghost, code_lines, loss_lines, recall_lines, stage_points
from app.charts.usage_frames import usage_frames, usage_frames_data, usage_frames_figure
from app.components.chart_player import chart_player
from app.components.live_chart import live_chart
from app.session.address import plain_text
from app.session.settings import settings_text
from app.training.plan import EarlierRun, RunPlan
from app.training.run import BACKBONE, JOINT, TWO_TOWER, EpochPoint
from app.training.session import TrainingView
from sparcode.config import DEFAULT_K

RECALL_HEIGHT = 400


def training_charts(view: TrainingView, data_key: str) -> None:
    """All charts of a view, live; earlier runs on the same data (`data_key`) become ghosts."""
    points = view.points
    ghosts = [Ghost(run.plan.name, settings_text(run.plan.config), run.points) for run in comparable(view.earlier, data_key)]
    live_chart(
        epoch_lines_figure, recall_lines(points, view.baseline, ghosts), "train-recall", recall_alt(points, view.baseline), RECALL_HEIGHT
    )
    with st.grid(2, min_column_width=340):
        _lines("train-loss", "Training loss", loss_lines(points, view.baseline), points, "loss")
        distance = code_lines(points, "commitment", "Commitment: distance of tokens to their codes", "mean squared distance")
        _lines("train-commitment", "Distance of tokens to their codes", distance, points, "commitment")
        _lines("train-perplexity", "Perplexity", code_lines(points, "perplexity", "Perplexity", "codewords"), points, "perplexity")
        dead = code_lines(points, "dead_share", "Dead codewords", "% not used by any query", 100)
        _lines("train-dead", "Share of dead codewords", dead, points, "dead_share")
    _usage(points, view.plan)


def comparable(earlier: Sequence[EarlierRun], data_key: str) -> list[EarlierRun]:
    """Earlier runs on the same data."""
    return [run for run in earlier if run.plan.data.key == data_key]


def recall_alt(points: Sequence[EpochPoint], baseline: Sequence[EpochPoint]) -> str:
    """Text alternative of the recall chart."""
    by_stage = {stage: stage_points(points, stage) for stage in (JOINT, BACKBONE)} | {TWO_TOWER: tuple(baseline)}
    best = [f"{stage} {max(point.recall for point in known):.3f}" for stage, known in by_stage.items() if known]
    return f"Validation recall by epoch. Best so far: {', '.join(best)}." if best else "Validation recall by epoch: no epoch yet."


def numbers(points: Sequence[EpochPoint]) -> pd.DataFrame:
    """Epochs as a table, for reading and for export."""
    return pd.DataFrame(
        [
            {
                "stage": point.stage,
                "epoch": point.epoch,
                "loss": point.loss,
                f"validation Recall@{DEFAULT_K}": point.recall,
                "commitment distance": point.commitment,
                "perplexity": point.perplexity,
                "dead codewords (%)": 100 * point.dead_share,
                "codes in use": point.codes_in_use if point.stage == JOINT else None,
                "seconds": point.seconds,
            }
            for point in points
        ]
    )


def runs_table(runs: Sequence[EarlierRun]) -> pd.DataFrame:
    """Finished runs and their settings, in the order given."""
    return pd.DataFrame(
        [
            {
                "run": run.plan.name.removeprefix("run "),
                f"Recall@{DEFAULT_K}": f"{run.result.recall:.3f}",
                "all-to-all": f"{run.result.all_to_all:.3f}",
                "two-tower": "-" if run.result.two_tower != run.result.two_tower else f"{run.result.two_tower:.3f}",
                "index (MB)": f"{run.result.size_bytes / 1e6:.2f}",
                "seconds": f"{run.result.seconds:.1f}",
                "data": plain_text(run.plan.data.name),
                "settings": settings_text(run.plan.config),
            }
            for run in runs
        ]
    )


def _lines(key: str, what: str, data: EpochLinesData, points: Sequence[EpochPoint], field: str) -> None:
    known = [value for point in points if (value := getattr(point, field)) == value]
    alt = f"{what} by epoch: from {known[0]:.3g} to {known[-1]:.3g}." if known else f"{what} by epoch: no epoch yet."
    live_chart(epoch_lines_figure, data, key, alt)


def _usage(points: Sequence[EpochPoint], plan: RunPlan | None) -> None:
    frames = usage_frames(points)
    data = usage_frames_data(frames, 1 if plan is None else plan.config.quantizer.codebook_size)
    alt = f"Use of codewords per codebook, {len(frames)} epochs to play through." if frames else "Use of codewords: no epoch yet."
    chart_player(usage_frames_figure, data, frames, "train-usage", alt)
