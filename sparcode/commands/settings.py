"""The flags of `sparcode.config.RunConfig`: a settings file, then single flags on top of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sparcode.commands.option_groups import OptionGroup, config_options, option
from sparcode.config import RunConfig
from sparcode.config_message import validation_message

STAGES = {name: field.annotation for name, field in RunConfig.model_fields.items()}
# One --seed stands for the seeds of the stages.
SEED_FIELD = "seed"


def build_config(config: Path | None, seed: int | None, **flags: Any) -> RunConfig:
    """Settings from a file (or the defaults) with flags on top.

    Parameters
    ----------
    config
        JSON file of a `RunConfig`, or a run's ``run.json``.
    seed
        Seed of split and training.
    **flags
        Field of a stage -> value; None was not given.

    Raises
    ------
    ValueError
        If the file cannot be read, or a setting is unknown or out of bounds.
    """
    content = {} if config is None else _read_settings(config)
    try:
        # Checked alone first, so that a complaint about the file names the file.
        settings = RunConfig.model_validate(content).model_dump()
    except ValidationError as error:
        raise ValueError(f"{config}: {validation_message(error)}") from error
    for stage, model in STAGES.items():
        given = {**flags, SEED_FIELD: seed}
        settings[stage] |= {name: given[name] for name in model.model_fields if given.get(name) is not None}
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ValueError(validation_message(error)) from error


def _read_settings(path: Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    if isinstance(content, dict) and "format_version" in content and "config" in content:
        content = content["config"]
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object of settings; got {type(content).__name__}")
    return content


SETTINGS = OptionGroup(
    parameters=(
        option("config", Path | None, "JSON file of settings, or the run.json of an earlier run; flags go before it.", metavar="FILE"),
        option("seed", int | None, "Seed of the split and of training (default 0)."),
        *(parameter for stage, model in STAGES.items() for parameter in config_options(model, stage.capitalize(), without={SEED_FIELD})),
    ),
    build=build_config,
)
