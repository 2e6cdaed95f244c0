"""What a visitor can choose: allowed values, defaults and help in one table, and one choice of all of them."""

from __future__ import annotations

from typing import Final, NamedTuple, get_args

from app.measured.threshold_stops import DEFAULT_PERCENT, KEPT_PERCENTS
from sparcode.config import ModelConfig, QuantizerConfig, RunConfig, TrainingConfig

_QUANTIZER, _MODEL, _TRAINING = QuantizerConfig.model_fields, ModelConfig.model_fields, TrainingConfig.model_fields
_BETWEEN: Final = "_"


class Setting(NamedTuple):
    """One setting.

    Attributes
    ----------
    key
        Its name in the session and in the address.
    label, help
        What people read.
    options
        Allowed values, as text.
    default
        One of them; the address leaves it out.
    symbol
        The label where there is little room.
    """

    key: str
    label: str
    help: str
    options: tuple[str, ...]
    default: str
    symbol: str

    def problem(self, values: list[str]) -> str:
        """What is wrong with the values an address gives, and what is allowed; empty if nothing is."""
        if not values or (len(values) == 1 and values[0] in self.options):
            return ""
        few = len(self.options) < 12
        allowed = ", ".join(self.options) if few else f"stops from {self.options[0]} to {self.options[-1]}, see the slider"
        return f"{self.default} is used. Allowed: {allowed}."


class NumberSetting(NamedTuple):
    """A setting with any number in a range.

    Attributes
    ----------
    key, label, help
        As for `Setting`.
    least, most, default
        Bounds, both allowed, and the value the address leaves out.
    """

    key: str
    label: str
    help: str
    least: float
    most: float
    default: float

    def problem(self, values: list[str]) -> str:
        """As `Setting.problem`."""
        try:
            if not values or (len(values) == 1 and self.least <= float(values[0]) <= self.most):
                return ""
        except ValueError:
            pass
        return f"{self.default:g} is used. Allowed: a number from {self.least:g} to {self.most:g}."


def _described(fields: dict, name: str) -> tuple[str, str]:
    """Help text and default of a field of the settings file."""
    return str(fields[name].description), str(fields[name].default)


def _setting(key: str, label: str, symbol: str, described: tuple[str, str], options: tuple[str, ...]) -> Setting:
    return Setting(key, label, described[0], options, described[1], symbol)


CODEBOOKS: Final = _setting("m", "Number of codebooks M", "M", _described(_QUANTIZER, "n_codebooks"), ("1", "2", "4"))
CODEBOOK_SIZE: Final = _setting("k", "Codebook size K", "K", _described(_QUANTIZER, "codebook_size"), ("8", "16", "32", "64", "128", "256"))
TOKENS: Final = _setting("t", "Tokens per query T", "T", _described(_MODEL, "n_tokens"), ("1", "2", "4", "8"))
INTERACTION: Final = _setting(
    "interaction", "Interaction network", "interaction", _described(_MODEL, "interaction"), get_args(_MODEL["interaction"].annotation)
)
ENCODER: Final = _setting("encoder", "Query encoder", "encoder", _described(_MODEL, "encoder"), get_args(_MODEL["encoder"].annotation))
SEED: Final = _setting("seed", "Seed", "seed", _described(_TRAINING, "seed"), tuple(str(seed) for seed in range(10)))
KEPT: Final = Setting(
    "keep",
    "Sparsity threshold τ: % of scores kept",
    "Only scores above the threshold tau stay in the index. Each stop is the tau of this index that keeps that share of all scores. "
    "To the right the threshold rises: fewer scores, a smaller and faster index, in the end lower recall.",
    KEPT_PERCENTS,
    DEFAULT_PERCENT,
    "kept %",
)
SETTINGS: Final = (CODEBOOKS, CODEBOOK_SIZE, TOKENS, INTERACTION, ENCODER, SEED, KEPT)
BUDGET: Final = NumberSetting(
    "mb", "Budget (MB)", "The largest index, in megabytes, that 'Best under the budget' may choose.", 0.01, 10_000, 2
)


class Configuration(NamedTuple):
    """One value of every setting, as text; fields are named by the settings' keys and in the order of `SETTINGS`."""

    m: str = CODEBOOKS.default
    k: str = CODEBOOK_SIZE.default
    t: str = TOKENS.default
    interaction: str = INTERACTION.default
    encoder: str = ENCODER.default
    seed: str = SEED.default
    keep: str = KEPT.default

    @classmethod
    def from_text(cls, text: str) -> Configuration:
        """Read what `text` has written.

        Raises
        ------
        ValueError
            If a value is not allowed, or there are too few or too many; names which.
        """
        values = text.split(_BETWEEN)
        if len(values) != len(SETTINGS):
            raise ValueError(f"it takes {len(SETTINGS)} values, got {len(values)}")
        for setting, value in zip(SETTINGS, values, strict=True):
            if value not in setting.options:
                raise ValueError(f"{setting.key} {value} is not possible")
        return cls(*values)

    @property
    def text(self) -> str:
        """All values in one word that an address can carry."""
        return _BETWEEN.join(self)

    @property
    def stop(self) -> int:
        """Position of the threshold in `KEPT_PERCENTS`."""
        return KEPT_PERCENTS.index(self.keep)

    @property
    def label(self) -> str:
        """The codes' setting, and of the networks what is not the default, for a legend."""
        parts = [f"M={self.m}", f"K={self.k}"]
        parts += [f"T={self.t}"] if self.t != TOKENS.default else []
        parts += [value for setting, value in ((INTERACTION, self.interaction), (ENCODER, self.encoder)) if value != setting.default]
        return " ".join(parts + ([f"seed {self.seed}"] if self.seed != SEED.default else []))

    def run_config(self, base: RunConfig) -> RunConfig:
        """The settings of this choice, everything else as in `base`."""
        model = base.model.model_dump() | {"n_tokens": int(self.t), "interaction": self.interaction, "encoder": self.encoder}
        training = base.training.model_dump() | {"seed": int(self.seed)}
        quantizer = quantizer_config(self.m, self.k)
        return RunConfig.model_validate(base.model_dump() | {"model": model, "training": training, "quantizer": quantizer.model_dump()})

    def difference(self, before: Configuration) -> str:
        """What was changed since another choice, in words; empty if nothing was."""
        changed = [f"{setting.symbol} {old} → {new}" for setting, old, new in zip(SETTINGS, before, self, strict=True) if old != new]
        return ", ".join(changed)


def label_of(config: RunConfig) -> str:
    """The settings as `Configuration.label` writes them."""
    quantizer, model = config.quantizer, config.model
    numbers = (quantizer.n_codebooks, quantizer.codebook_size, model.n_tokens)
    return Configuration(*map(str, numbers), model.interaction, model.encoder, str(config.training.seed)).label


def quantizer_config(n_codebooks: str, codebook_size: str) -> QuantizerConfig:
    """The quantizer of two values of `CODEBOOKS` and `CODEBOOK_SIZE`."""
    return QuantizerConfig(n_codebooks=int(n_codebooks), codebook_size=int(codebook_size))
