"""Runs of the tiny data in a folder, as the command line leaves them."""

from __future__ import annotations

from pathlib import Path

from sparcode.comparison.run import data_facts
from sparcode.config import RunConfig
from sparcode.data.interactions import Interactions
from sparcode.data.split import split_users
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.runs.sources import Sources, write_sources
from sparcode.runs.store import Run, save_run
from sparcode.training.pipeline import build_run_index, preview
from tests.tiny import CONFIG, tiny_backbone, tiny_data, tiny_split


def model_of(config: RunConfig) -> SparCodeModel:
    """The preview of a setting on the tiny backbone."""
    return preview(tiny_backbone(), tiny_split(), config)


def save(
    folder: Path, config: RunConfig = CONFIG, data: Interactions | None = None, model: SparCodeModel | None = None, with_data: bool = False
) -> str:
    """Save a run into a folder that does not exist, and return its name; of the tiny data unless told otherwise."""
    data, model = data or tiny_data(), model or model_of(config)
    index = build_run_index(model, split_users(data, config.split).train, config.index)
    item_ids = [str(item_id) for item_id in data.item_ids]

    def beside(new: Path) -> None:
        if with_data:
            write_sources(new, Sources(data, tiny_backbone()))

    save_run(Run(config, data_facts(data), model, index, item_ids, data.items, [], [], "here"), folder, beside=beside)
    return folder.name
