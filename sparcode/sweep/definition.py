"""What a sweep is: its data, the settings it starts from, what varies and how it is searched."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError, field_validator, model_validator

from sparcode.config import DEFAULT_K, Config, RunConfig, SweepConfig, SyntheticConfig
from sparcode.config_message import validation_message
from sparcode.data.facts import DataFacts
from sparcode.sweep.space import Space

FORMAT_VERSION: Final = 1
DEFINITION: Final = "sweep.json"


class SweepData(Config):
    """The data of a sweep, and where its trials find it: in the sweep's folder, or where it was read from.

    Attributes
    ----------
    flags
        Flags of `sparcode train` that name it; empty where none do.
    is_kept
        Whether the sweep's folder holds it; if not, the source is read again.
    synthetic, path, train, test
        The source: one of them, or both files of a ready-made split.
    options
        Options of `sparcode.data.loading.load_split` that it was read with.
    """

    facts: DataFacts
    flags: str = ""
    is_kept: bool = False
    synthetic: SyntheticConfig | None = None
    path: str | None = None
    train: str | None = None
    test: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class Definition(Config):
    """A sweep before its first trial; nothing in it changes later.

    Attributes
    ----------
    config
        Settings of every trial, but for what varies.
    k
        Items retrieved per query.
    seed
        Of the sampler and of importance.
    """

    format_version: int = FORMAT_VERSION
    data: SweepData
    config: RunConfig
    space: Space
    search: SweepConfig = SweepConfig()
    k: int = Field(DEFAULT_K, ge=1)
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @field_validator("format_version")
    @classmethod
    def _is_read(cls, version: int) -> int:
        if version != FORMAT_VERSION:
            raise ValueError(f"format version {version}; this version of sparcode reads {FORMAT_VERSION}")
        return version

    @field_validator("config", mode="before")
    @classmethod
    def _as_written(cls, config: Any) -> Any:
        return RunConfig.as_written(config) if isinstance(config, dict) else config

    @model_validator(mode="after")
    def _grid_is_finite(self) -> Definition:
        if self.search.sampler == "grid":
            _ = self.space.n_grid
        return self

    @property
    def n_trials(self) -> int:
        """Trials at most: as many as asked for, or all that the space allows."""
        n_settings = self.space.n_grid if self.search.sampler == "grid" else self.space.n_settings
        return int(min(self.search.trials, n_settings))

    @property
    def identity(self) -> str:
        """16 hexadecimal digits, the same in every process."""
        return hashlib.sha256(_text(self).encode()).hexdigest()[:16]

    def command(self, folder: str = "") -> str:
        """The command that repeats the sweep, where the data can be named by flags; empty where not.

        `folder` is where the sweep's file of settings lies, which the command reads.
        """
        if not self.data.flags:
            return ""
        usual, words = SweepConfig(), ["sparcode", "sweep", *shlex.split(self.data.flags), "--config", str(Path(folder) / DEFINITION)]
        for dimension in self.space.dimensions:
            words += ["--vary", dimension.text]
        for name in SweepConfig.model_fields:
            if (value := getattr(self.search, name)) != getattr(usual, name):
                words += [f"--{name.replace('_', '-')}", str(value)]
        if self.k != DEFAULT_K:
            words += ["--k", str(self.k)]
        return shlex.join([*words, "--out", "again"])


def write_definition(folder: Path, definition: Definition) -> None:
    """Write the definition into a sweep's folder."""
    (folder / DEFINITION).write_text(_text(definition) + "\n", encoding="utf-8")


def read_definition(folder: Path) -> Definition:
    """The definition in a sweep's folder; ValueError, which names the file, if there is none or it is damaged."""
    path = folder / DEFINITION
    try:
        return Definition.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"{folder} is not the folder of a sweep: {DEFINITION} cannot be read ({error.strerror or error})") from error
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: {validation_message(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _text(definition: Definition) -> str:
    return json.dumps(definition.model_dump(mode="json"), indent=1, allow_nan=False)
