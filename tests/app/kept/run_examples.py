"""Figures of runs made up for tests: what they say is certain."""

from __future__ import annotations

import numpy as np

from app.kept.comparable import RunFacts
from app.kept.run_figures import RunFigures
from sparcode.config import RunConfig

BASE = RunConfig.for_data(True)


def config_of(seed: int = 0, split_seed: int = 0, codebook_size: int = 256) -> RunConfig:
    """The default settings with some values."""
    values = {"training": {"seed": seed}, "split": {"seed": split_seed}, "quantizer": {"codebook_size": codebook_size}}
    updates = {stage: getattr(BASE, stage).model_copy(update=fields) for stage, fields in values.items()}
    return BASE.model_copy(update=updates)


def run_of(
    name: str, by_user: list[float], config: RunConfig = BASE, data_hash: str = "data", megabytes: float = 1.0, ms: float = 1.0
) -> RunFigures:
    """A run with the recall of every user; at two other thresholds half and twice its size, with a tenth less and the same recall."""
    users = np.array(by_user)
    recall = float(np.nanmean(users))
    return RunFigures(
        facts=RunFacts(name, "kept", config, f"the data {data_hash}", data_hash),
        tau=np.array([0.1, 0.2, 0.3]),
        own=1,
        density=np.array([0.4, 0.2, 0.1]),
        recall=np.array([recall, recall, 0.9 * recall]),
        size_bytes=megabytes * 1e6 * np.array([2.0, 1.0, 0.5]),
        p50_ms=np.array([np.nan, ms, 0.8 * ms]),
        ndcg=recall / 2,
        precision=recall / 4,
        recall_by_user=users,
        busy=False,
    )
