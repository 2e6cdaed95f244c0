"""The flags of `sparcode.config.RunConfig`: a settings file, then single flags on top of it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
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
    """Settings of the command line: a JSON file of a `RunConfig` (or a ``run.json``), and stage -> field -> value, which override it.

    A ``run.json`` names every setting: those that have no effect beside the flags become the default.
    """

    file: Path | None
    fields: Mapping[str, Mapping[str, Any]]

    def run_config(self, synthetic: bool, protocol: str = "strong") -> RunConfig:
        """All settings of a run on data of this kind, see `RunConfig.for_data`.

        ValueError if the file cannot be read, or a setting is unknown or out of bounds.
        """
        settings, _ = self._of_file()
        for stage, fields in self.fields.items():
            settings[stage] = {**settings.get(stage, {}), **fields}
        try:
            return RunConfig.for_data(synthetic, RunConfig.as_written(settings), protocol, self.typed())
        except ValidationError as error:
            raise ValueError(validation_message(error)) from error

    def typed(self) -> dict[str, Collection[str]]:
        """Stage -> fields given by flags or in a file of settings; raises as `run_config`."""
        settings, is_run = self._of_file()
        return {stage: {*fields, *(() if is_run else settings.get(stage, ()))} for stage, fields in self.fields.items()}

    def named(self) -> dict[str, Collection[str]]:
        """As `typed`, and all fields of a ``run.json``, which is trained as it says."""
        of_file = self._of_file()[0]
        return {stage: {*fields, *of_file.get(stage, ())} for stage, fields in self.fields.items()}

    def _of_file(self) -> tuple[dict[str, Any], bool]:
        """What the file sets, and whether it is a ``run.json``."""
        if self.file is None:
            return {}, False
        content, is_run = _read_settings(self.file)
        try:
            # Checked alone, so that a complaint about the file names the file.
            return RunConfig.as_written(content).model_dump(exclude_unset=True), is_run
        except ValidationError as error:
            raise ValueError(f"{self.file}: {validation_message(error)}") from error


def build_settings(config: Path | None, seed: int | None, **flags: Any) -> SettingsFlags:
    """The flags' values, None for those not given, as `SettingsFlags`."""
    given = {**flags, SEED_FIELD: seed}
    return SettingsFlags(
        config,
        {stage: {name: given[name] for name in model.model_fields if given.get(name) is not None} for stage, model in STAGES.items()},
    )


def _read_settings(path: Path) -> tuple[dict[str, Any], bool]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    is_run = isinstance(content, dict) and "format_version" in content and "config" in content
    if is_run:
        content = content["config"]
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object of settings; got {type(content).__name__}")
    return content, is_run


SETTINGS = OptionGroup(
    parameters=(
        option("config", Path | None, "JSON file of settings, or the run.json of an earlier run; flags go before it.", metavar="FILE"),
        option("seed", int | None, "Seed of the split and of training (default 0)."),
        *(parameter for stage, model in STAGES.items() for parameter in config_options(model, stage.capitalize(), without={SEED_FIELD})),
    ),
    build=build_settings,
)
