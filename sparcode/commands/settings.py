"""The flags of `sparcode.config.RunConfig`: a settings file, then single flags on top of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from sparcode.commands.flags import OptionGroup, config_options, option
from sparcode.config import RunConfig
from sparcode.config_message import validation_message

STAGES = {name: field.annotation for name, field in RunConfig.model_fields.items()}
# One --seed stands for the seeds of the stages.
SEED_FIELD = "seed"


class SettingsFlags(NamedTuple):
    """Settings of the command line: a JSON file of a `RunConfig` (or a ``run.json``), and stage -> field -> value, which override it."""

    file: Path | None
    fields: Mapping[str, Mapping[str, Any]]

    def run_config(self, synthetic: bool, protocol: str = "strong") -> RunConfig:
        """All settings of a run on data of this kind, see `RunConfig.for_data`.

        ValueError if the file cannot be read, or a setting is unknown or out of bounds.
        """
        content = {} if self.file is None else _read_settings(self.file)
        try:
            # Checked alone first, so that a complaint about the file names the file.
            settings = RunConfig.model_validate(content).model_dump(exclude_unset=True)
        except ValidationError as error:
            raise ValueError(f"{self.file}: {validation_message(error)}") from error
        for stage, fields in self.fields.items():
            settings[stage] = {**settings.get(stage, {}), **fields}
        try:
            return RunConfig.for_data(synthetic, RunConfig.model_validate(settings), protocol)
        except ValidationError as error:
            raise ValueError(validation_message(error)) from error


def build_settings(config: Path | None, seed: int | None, **flags: Any) -> SettingsFlags:
    """The flags' values, None for those not given, as `SettingsFlags`."""
    given = {**flags, SEED_FIELD: seed}
    return SettingsFlags(
        config,
        {stage: {name: given[name] for name in model.model_fields if given.get(name) is not None} for stage, model in STAGES.items()},
    )


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
    build=build_settings,
)
