"""The table of everything a visitor can set; a new control is one row of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from sparcode.config import RunConfig, SyntheticConfig
from sparcode.glossary import about

EXPLORER: Final = "explorer"
COMPARE: Final = "compare"
SCALE: Final = "scale"
QUERY: Final = "query"
SPACE: Final = "space"
TRAIN: Final = "train"
LESSONS: Final = "lessons"
SWEEP: Final = "sweep"

# First part of a setting's path -> its settings model.
_SECTIONS: Final = {
    "synthetic": SyntheticConfig,
    **{name: info.annotation for name, info in RunConfig.model_fields.items()},
}


@dataclass(frozen=True)
class Setting:
    """One row: what is set, where it is set, and how it reads.

    Attributes
    ----------
    key
        Name in the session, in pins, and in the address unless it has another one there.
    pages
        Where it is offered. A key that two pages share is one value on both.
    control
        Its widget; "own" is a component of the page's own.
    label, symbol
        Name beside the control, and where there is little room.
    path
        Section and name of its field in the settings, which gives help, default, options and bounds; empty if it has no field.
    options
        Allowed values, as text, if not those of the field; the value is then a text, too.
    start, about, limits
        Default, help, and lowest and highest number, if it has no field.
    text
        Its format in the line that tells runs apart; empty leaves it out.
    only_if
        Path and value without which the setting has no effect: the line leaves it out, and its widget is disabled.
    step, number_format
        Of a number: what a click adds, and how it is shown.
    width
        Share of the Explorer's row of controls.
    folded
        Whether it stands in the collapsed part of the Train page.
    parameter
        Name in the address, where another page's setting has the same one; empty for the key.
    """

    key: str
    pages: tuple[str, ...]
    control: Literal["slider", "list", "number", "checkbox", "own"]
    label: str
    path: str = ""
    symbol: str = ""
    options: tuple[str, ...] = ()
    start: Any = None
    about: str = ""
    limits: tuple[float, float] = (0, 0)
    text: str = ""
    only_if: tuple[str, str] | None = None
    step: float = 1
    number_format: str = "%d"
    width: float = 2
    folded: bool = False
    parameter: str = ""

    @property
    def in_address(self) -> str:
        """Its name in the address."""
        return self.parameter or self.key

    @property
    def in_run(self) -> bool:
        """Whether it is part of a run's settings."""
        return self.path.partition(".")[0] in RunConfig.model_fields

    @property
    def field(self) -> FieldInfo:
        """Its field in the settings."""
        section, name = self.path.split(".")
        return _SECTIONS[section].model_fields[name]

    @property
    def help(self) -> str:
        """Its help text."""
        return self.about or str(self.field.description)

    @property
    def choices(self) -> tuple[str, ...]:
        """Allowed values, as text; empty for numbers."""
        if self.control == "checkbox":
            return ("true", "false")
        if not self.options and self.path and get_origin(self.field.annotation) is Literal:
            return get_args(self.field.annotation)
        return self.options

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest number; an open bound is moved in by one in the last digit shown."""
        if not self.path:
            return self.limits
        digit = 1.0 if self.number_format == "%d" else 10.0 ** -int(self.number_format[2:-1])
        lowest, highest = 0.0, 2.0**31 - 1
        for rule in self.field.metadata:
            if isinstance(rule, annotated_types.Ge):
                lowest = rule.ge
            elif isinstance(rule, annotated_types.Gt):
                lowest = rule.gt + digit
            elif isinstance(rule, annotated_types.Le):
                highest = rule.le
            elif isinstance(rule, annotated_types.Lt):
                highest = rule.lt - digit
        return lowest, highest

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            few = len(self.choices) < 12
            return ", ".join(self.choices) if few else f"stops from {self.choices[0]} to {self.choices[-1]}, see the slider"
        return " to ".join(f"{bound:,.0f}" if bound > 1000 else f"{bound:g}" for bound in self.bounds)

    def default(self, base: RunConfig) -> Any:
        """Its default; `base` are the settings that suit the data, or those of the run that is shown, whose codes may be any."""
        if self.start is not None:
            return self.start
        value = self.value_in(base) if self.in_run else self.field.default
        if not self.options:
            return value
        # The settings that suit the data may have a value that is not offered.
        return str(value) if str(value) in self.options or self.path.startswith("quantizer.") else str(self.field.default)

    def value_in(self, config: RunConfig) -> Any:
        """Its value in a run's settings."""
        return _at(config, self.path)

    def is_allowed(self, value: Any) -> bool:
        """Whether a value is allowed."""
        if self.choices:
            return self.write(value) in self.choices
        lowest, highest = self.bounds
        return value is not None and lowest <= value <= highest

    def read(self, text: str) -> Any:
        """The value of a text of the address; ValueError if it is not allowed."""
        if self.control == "checkbox":
            value = {"true": True, "false": False}.get(text.lower(), text)
        else:
            value = text if self.choices else (int if self.number_format == "%d" else float)(text)
        if not self.is_allowed(value):
            raise ValueError(f"{self.in_address} {text} is not possible")
        return value

    def write(self, value: Any) -> str:
        """The text of a value in the address."""
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value:.10g}" if isinstance(value, float) else str(value)


# M and K are the codes, the subject of every page: one value for all. Train has networks, T and seed of its own (t_...), because a
# choice there would otherwise have another backbone trained as soon as the Explorer is opened, which offers only a few of them.
_CODES: Final = (EXPLORER, COMPARE, SCALE, QUERY, SPACE)
# Where the threshold can be moved.
_CUT: Final = (EXPLORER, COMPARE, SCALE, QUERY)
CODEBOOKS: Final = Setting(
    "m", (*_CODES, TRAIN), "slider", "Number of codebooks M", "quantizer.n_codebooks", "M", ("1", "2", "4"), text="M={}", width=2.8
)
CODEBOOK_SIZE: Final = Setting(
    "k",
    (*_CODES, TRAIN),
    "slider",
    "Codebook size K",
    "quantizer.codebook_size",
    "K",
    ("8", "16", "32", "64", "128", "256"),
    text="K={}",
    width=2.2,
)
NEAREST_CODES: Final = Setting(
    "p", _CODES, "slider", "Codes per token P", "quantizer.n_nearest", "P", ("1", "2", "4", "8"), text="P={}", width=2.4
)
KEPT: Final = Setting(
    "keep",
    _CUT,
    "own",
    "Sparsity threshold τ: % of scores kept",
    symbol="kept %",
    options=KEPT_PERCENTS,
    start=DEFAULT_PERCENT,
    about=about("threshold"),
)
BUDGET: Final = Setting(
    "mb",
    (EXPLORER,),
    "number",
    "Budget (MB)",
    start=2.0,
    about="The largest index, in megabytes, that 'Best under the budget' may choose.",
    limits=(0.01, 10_000),
    step=0.5,
    number_format="%g",
)
WHOSE: Final = Setting(
    "whose",
    (QUERY,),
    "own",
    "Whose history",
    options=("test user", "composed"),
    start="test user",
    about="test user: the history of a user whom no model was trained on, with the items held out; composed: a new user, of items that "
    "you choose.",
)
USER: Final = Setting(
    "user",
    (QUERY,),
    "number",
    "Test user",
    start=0,
    about="The number of a test user, counted from 0.",
    limits=(0, 2**31 - 1),
)
STEP: Final = Setting(
    "step",
    (QUERY,),
    "own",
    "Step",
    options=("all", "history", "tokens", "lists", "scores", "top"),
    start="all",
    about="One stage of the path at a time, or all of them.",
)
LESSON: Final = Setting(
    "lesson",
    (LESSONS,),
    "own",
    "Lesson",
    options=tuple(str(number) for number in range(1, 11)),
    start="1",
    about="Ten guided experiments, one for each question about the method.",
)
LESSON_STEP: Final = Setting(
    "lesson_step",
    (LESSONS,),
    "own",
    "Step",
    options=("1", "2", "3", "4", "5"),
    start="1",
    about="Goal, prediction, result, explanation, and what to try next. Result and what follows open once a prediction is made.",
    parameter="step",
)
VIEW: Final = Setting(
    "view",
    (SPACE,),
    "own",
    "Codes",
    options=("whole", "1", "2", "3", "4"),
    start="whole",
    about="With several codebooks each quantizes a part of its own of every token, a space of its own. whole: whole codes, one codeword of "
    "each codebook, in the space of whole tokens; a number: the codewords of that codebook, in the space of its part.",
)
LAYOUT: Final = Setting(
    "layout",
    (SPACE,),
    "own",
    "Layout",
    options=("umap", "pca"),
    start="umap",
    about="umap: neighbours stay neighbours, distances between groups say little. pca: the two directions of most variance: distances are "
    "true, but groups may lie on each other; at once, and shown until UMAP is there.",
)
POINTS: Final = Setting(
    "points",
    (SPACE,),
    "own",
    "Points",
    options=("2000", "5000", "20000", "50000"),
    start="5000",
    about="Codes, items and tokens drawn at most. Of more, the most used codes are drawn, and items and tokens by a seeded sample; UMAP of "
    "20,000 takes minutes. Counts and tables are always of all users and items.",
)
FRONT: Final = Setting(
    "front",
    (SWEEP,),
    "own",
    "Pareto front of",
    options=("size", "time", "both"),
    start="size",
    about="size: recall and index size; time: recall and latency; both: all three. A point is on the front if no other is as good in all "
    "of them and better in one.",
)
FIGURE: Final = Setting(
    "of",
    (SWEEP,),
    "own",
    "Settings against",
    options=("recall", "size_bytes", "p50_ms"),
    start="recall",
    about="The figure that settings are held against: recall, the index size or the latency of a trial's best threshold.",
)
DATA: Final = Setting(
    "t_data",
    (TRAIN,),
    "list",
    "Data set",
    options=("chosen above", "small", "standard", "upload"),
    start="chosen above",
    about="chosen above: what is chosen beside the title; small, standard: made-up data (a planted catalogue) of two sizes, any seed; "
    "upload: a file of your own.",
)
DATA_SEED: Final = Setting("t_data_seed", (TRAIN,), "number", "Seed of the data", "synthetic.seed")
DIMENSIONS: Final = Setting("t_dim", (TRAIN,), "number", "Dims D", "model.token_dim", text="D={}")
TWO_TOWER: Final = Setting(
    "t_two_tower",
    (TRAIN,),
    "checkbox",
    "Train two-tower, too",
    start=True,
    about="The two-tower baseline on the same data, loss and budget of epochs, after SparCode. It is trained once per setting of the "
    "networks and known from then on. The all-to-all baseline is the first stage of every run.",
)
# In the order of each page.
SETTINGS: Final = (
    DATA,
    DATA_SEED,
    Setting("t_encoder", (TRAIN,), "list", "Encoder", "model.encoder", text="{}"),
    Setting("t_interaction", (TRAIN,), "list", "Interaction", "model.interaction", text="{}"),
    Setting("t_tokens", (TRAIN,), "number", "Tokens T", "model.n_tokens", text="T={}"),
    DIMENSIONS,
    CODEBOOKS,
    CODEBOOK_SIZE,
    NEAREST_CODES,
    Setting("t", _CODES, "slider", "Tokens per query T", "model.n_tokens", "T", ("1", "2", "4", "8"), text="T={}", width=2.4),
    Setting("interaction", _CODES, "list", "Interaction network", "model.interaction", "interaction", text="{}", width=2.5),
    Setting("encoder", _CODES, "list", "Query encoder", "model.encoder", "encoder", text="{}"),
    Setting("seed", _CODES, "list", "Seed", "training.seed", "seed", tuple(str(seed) for seed in range(10)), text="seed {}", width=1.8),
    KEPT,
    BUDGET,
    WHOSE,
    USER,
    STEP,
    LESSON,
    LESSON_STEP,
    VIEW,
    LAYOUT,
    POINTS,
    FRONT,
    FIGURE,
    Setting("t_update", (TRAIN,), "list", "Codewords by", "quantizer.codebook_update", text="codewords by {}"),
    Setting(
        "t_ema",
        (TRAIN,),
        "number",
        "EMA decay",
        "quantizer.ema_decay",
        text="decay {}",
        only_if=("quantizer.codebook_update", "ema"),
        step=0.01,
        number_format="%.3f",
    ),
    Setting("t_beta", (TRAIN,), "number", "Weight β", "quantizer.commitment_weight", text="β={}", step=0.05, number_format="%.3f"),
    Setting("t_seed", (TRAIN,), "number", "Seed", "training.seed", text="seed {}"),
    Setting("t_epochs", (TRAIN,), "number", "Epochs", "training.epochs", text="{} epochs"),
    Setting("t_joint", (TRAIN,), "number", "Joint epochs", "training.joint_epochs", text="{} joint epochs"),
    Setting(
        "t_rate",
        (TRAIN,),
        "number",
        "Step size",
        "training.learning_rate",
        text="step size {}",
        step=0.001,
        number_format="%.4f",
        folded=True,
    ),
    Setting(
        "t_joint_rate",
        (TRAIN,),
        "number",
        "Joint step size",
        "training.joint_learning_rate",
        text="joint step size {}",
        step=0.001,
        number_format="%.4f",
        folded=True,
    ),
    Setting("t_patience", (TRAIN,), "number", "Patience", "training.patience", text="patience {}", folded=True),
    TWO_TOWER,
)


def settings_of(page: str) -> tuple[Setting, ...]:
    """The settings of a page, in order."""
    return tuple(setting for setting in SETTINGS if page in setting.pages)


def with_values(base: RunConfig, values: Mapping[Setting, Any]) -> RunConfig:
    """Settings of a run: the values chosen, and `base` for the rest. Values that are not part of a run are ignored.

    pydantic.ValidationError if they do not go together.
    """
    settings = base.model_dump()
    for setting, value in values.items():
        if setting.in_run:
            section, name = setting.path.split(".")
            settings[section][name] = value
    return RunConfig.model_validate(settings)


def has_effect(setting: Setting, values: Mapping[Any, Any]) -> bool:
    """Whether a setting has an effect beside other values, given by their keys; see `Setting.only_if`."""
    if setting.only_if is None:
        return True
    path, needed = setting.only_if
    return any(values[other.key] == needed for other in SETTINGS if other.path == path and set(other.pages) & set(setting.pages))


def split_evenly(token_dim: int, n_codebooks: int) -> int:
    """The number of dimensions nearest to `token_dim` that splits into `n_codebooks` equal parts, within the bounds of `DIMENSIONS`."""
    lowest, highest = map(int, DIMENSIONS.bounds)
    fitting = [dim for dim in range(lowest, highest + 1) if dim % n_codebooks == 0]
    # Ties go to the larger one, which can represent more.
    return min(fitting, key=lambda dim: (abs(dim - token_dim), -dim))


def settings_text(config: RunConfig) -> str:
    """The settings that tell runs of the Train page apart, in one line."""
    shown = [setting for setting in settings_of(TRAIN) if setting.text]
    shown = [setting for setting in shown if setting.only_if is None or _at(config, setting.only_if[0]) == setting.only_if[1]]
    return ", ".join(setting.text.format(setting.write(setting.value_in(config))) for setting in shown)


def _at(config: RunConfig, path: str) -> Any:
    section, name = path.split(".")
    return getattr(getattr(config, section), name)
