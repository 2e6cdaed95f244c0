"""The search space of a sweep: which settings vary, and over which values or ranges; bounds are those of `sparcode.config`."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import Field, ValidationError, ValidationInfo, create_model, field_validator, model_validator

from sparcode.config import Config, RunConfig
from sparcode.config_message import validation_message

# Optuna tells of every study and trial on standard error.
logging.getLogger("optuna").setLevel(logging.WARNING)

Value = bool | int | float | str
Params = Mapping[str, Value]

# Another split has other users: figures would not be comparable.
STAGES: Final = {name: field.annotation for name, field in RunConfig.model_fields.items() if name != "split"}
MOST_VALUES: Final = 1000
# Settings of a grid, which are listed in memory.
MOST_GRID: Final = 100_000
_RANGE: Final = re.compile(r"(?P<low>\S+?)\.\.(?P<high>\S+)(?P<log>\s+log)?(?:\s+(?P<points>\d+))?")
_FORM: Final = "FIELD=VALUE,VALUE,... or FIELD=LOW..HIGH, with ' log' and a number of points after it if wanted"


class Choices(Config):
    """A setting, named stage.field, and the values it may have."""

    kind: Literal["choices"] = "choices"
    setting: str
    values: tuple[Value, ...] = Field(min_length=1, max_length=MOST_VALUES)

    @field_validator("setting")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return full_name(name)

    @field_validator("values")
    @classmethod
    def _are_allowed(cls, values: tuple[Value, ...], info: ValidationInfo) -> tuple[Value, ...]:
        name = info.data.get("setting")
        return values if name is None else tuple(dict.fromkeys(checked_value(name, value) for value in values))

    @property
    def distribution(self) -> BaseDistribution:
        """For Optuna: values without an order."""
        return CategoricalDistribution(self.values)

    @property
    def grid_values(self) -> tuple[Value, ...]:
        """The values of a grid."""
        return self.values

    @property
    def text(self) -> str:
        """As on the command line."""
        return f"{self.setting}={','.join(map(str, self.values))}"


class Range(Config):
    """A numeric setting, named stage.field, between two bounds, both included; `log` draws and spaces it by its logarithm.

    `n_points` are those of a grid.
    """

    kind: Literal["range"] = "range"
    setting: str
    low: float | int
    high: float | int
    log: bool = False
    n_points: int | None = Field(None, ge=2, le=MOST_VALUES)

    @field_validator("setting")
    @classmethod
    def _is_numeric(cls, name: str) -> str:
        name = full_name(name)
        if (kind := _field(name).annotation) not in (int, float):
            raise ValueError(f"{name} takes no range; give values of it: {', '.join(map(str, get_args(kind)))}")
        return name

    @field_validator("low", "high")
    @classmethod
    def _is_allowed(cls, value: float, info: ValidationInfo) -> float:
        name = info.data.get("setting")
        return value if name is None else checked_value(name, value)

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"{self.setting}={self.low}..{self.high}: the first must be below the second")
        if self.log and self.low <= 0:
            raise ValueError(f"{self.setting}={self.low}..{self.high} log: the first must be above 0")
        return self

    @property
    def distribution(self) -> BaseDistribution:
        """For Optuna."""
        kind = IntDistribution if _field(self.setting).annotation is int else FloatDistribution
        return kind(self.low, self.high, log=self.log)

    @property
    def grid_values(self) -> tuple[Value, ...]:
        """Evenly spaced points, those of whole numbers rounded; ValueError without `n_points`."""
        if self.n_points is None:
            raise ValueError(f"a grid needs values or a number of points: {self.text} 5 has five")
        points = (np.geomspace if self.log else np.linspace)(self.low, self.high, self.n_points)
        whole = _field(self.setting).annotation is int
        # The ends as given: spacing by logarithms may round them out of bounds.
        inner = (round(point) if whole else float(f"{point:.6g}") for point in points[1:-1].tolist())
        return tuple(dict.fromkeys((self.low, *inner, self.high)))

    @property
    def text(self) -> str:
        """As on the command line."""
        points = "" if self.n_points is None else f" {self.n_points}"
        return f"{self.setting}={self.low}..{self.high}{' log' if self.log else ''}{points}"


Dimension = Annotated[Choices | Range, Field(discriminator="kind")]


class Space(Config):
    """Settings that vary together, each once."""

    dimensions: tuple[Dimension, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_each_once(self) -> Space:
        names = [dimension.setting for dimension in self.dimensions]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise ValueError(f"{', '.join(twice)} varies twice; name all its values at once")
        return self

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of what varies, stage.field."""
        return tuple(dimension.setting for dimension in self.dimensions)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Setting -> distribution, for Optuna."""
        return {dimension.setting: dimension.distribution for dimension in self.dimensions}

    @property
    def n_settings(self) -> float:
        """Distinct settings; infinite with a range of real numbers."""
        return math.prod(_n_values(dimension) for dimension in self.dimensions)

    def listed(self, most: int) -> list[dict[str, Value]]:
        """Every setting, whole numbers of ranges one by one; empty if there are more than `most`."""
        if self.n_settings > most:
            return []
        values = [one.values if isinstance(one, Choices) else range(int(one.low), int(one.high) + 1) for one in self.dimensions]
        return [dict(zip(self.settings, chosen, strict=True)) for chosen in product(*values)]

    @property
    def n_grid(self) -> int:
        """Settings of the grid; ValueError if a range has no number of points, or they are more than `MOST_GRID`."""
        n_settings = math.prod(len(dimension.grid_values) for dimension in self.dimensions)
        if n_settings > MOST_GRID:
            raise ValueError(
                f"a grid of {n_settings:,} settings is too large, at most {MOST_GRID:,} are allowed; give fewer values, or search at random"
            )
        return n_settings

    def grid(self) -> list[dict[str, Value]]:
        """Every setting of the grid, errors as for `n_grid`; those that share a backbone stand together if settings of codes come last."""
        _ = self.n_grid
        values = [dimension.grid_values for dimension in self.dimensions]
        return [dict(zip(self.settings, chosen, strict=True)) for chosen in product(*values)]


def parse_space(texts: Sequence[str]) -> Space:
    """A space from texts such as ``quantizer.codebook_size=64,128`` and ``training.learning_rate=0.001..0.1 log``.

    The stage may be left out where only one has such a field. ValueError, with what is allowed, for anything else.
    """
    try:
        return Space(dimensions=tuple(_parsed(text) for text in texts))
    except ValidationError as error:
        raise ValueError("nothing varies" if not texts else validation_message(error)) from error


def config_of(base: RunConfig, params: Params) -> RunConfig:
    """The settings of a trial: `base` with others in place of those that vary.

    What has no effect beside them becomes the default, so that settings which say the same are the same. ValueError if they do not go
    together.
    """
    values = base.model_dump()
    for name, value in params.items():
        stage, _, field = name.partition(".")
        values[stage][field] = value
    try:
        return RunConfig.for_data(False, RunConfig.as_written(values), values["split"]["protocol"], typed={})
    except ValidationError as error:
        raise ValueError(validation_message(error)) from error


def full_name(name: str) -> str:
    """``codebook_size`` or ``quantizer.codebook_size`` -> the latter; ValueError, with what is allowed, if no such setting can vary."""
    stage, _, field = name.rpartition(".")
    if stage == "split" or (not stage and field in RunConfig.model_fields["split"].annotation.model_fields and not _stages_of(field)):
        raise ValueError(f"{name} cannot vary: it decides which users are measured, and figures of other users are not comparable")
    found = [one for one in _stages_of(field) if stage in ("", one)]
    if not found:
        raise ValueError(f"{name}: there is no such setting; name one as stage.field, of the stages {', '.join(STAGES)}")
    if len(found) > 1:
        raise ValueError(f"{name} is a setting of {' and '.join(found)}; name one of them, as {found[0]}.{field}")
    return f"{found[0]}.{field}"


def checked_value(name: str, value: Any) -> Value:
    """A value of a setting, named stage.field, in its type; ValueError if it is out of bounds."""
    field = name.partition(".")[2]
    try:
        return getattr(_single(name).model_validate({field: value}), field)
    except ValidationError as error:
        raise ValueError(validation_message(error)) from error


def _stages_of(field: str) -> list[str]:
    return [stage for stage, model in STAGES.items() if field in model.model_fields]


def _field(name: str) -> Any:
    stage, _, field = name.partition(".")
    return STAGES[stage].model_fields[field]


@cache
def _single(name: str) -> type[Config]:
    """A model of this field alone: rules about several settings are checked when all are known."""
    return create_model("Setting", __base__=Config, **{name.partition(".")[2]: (_field(name).rebuild_annotation(), ...)})


def _n_values(dimension: Choices | Range) -> float:
    if isinstance(dimension, Choices):
        return len(dimension.values)
    return dimension.high - dimension.low + 1 if _field(dimension.setting).annotation is int else math.inf


def _parsed(text: str) -> Choices | Range:
    name, equals, said = (part.strip() for part in text.partition("="))
    if not (name and equals and said):
        raise ValueError(f"--vary {text!r}: write {_FORM}")
    name = full_name(name)
    try:
        if found := _RANGE.fullmatch(said):
            ends = {end: checked_value(name, found[end]) if get_origin(_field(name).annotation) is None else 0 for end in ("low", "high")}
            return Range(setting=name, **ends, log=bool(found["log"]), n_points=found["points"])
        return Choices(setting=name, values=tuple(checked_value(name, value.strip()) for value in said.split(",")))
    except ValidationError as error:
        raise ValueError(validation_message(error)) from error
