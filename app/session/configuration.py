"""One choice of everything that the Explorer and the Compare page can set."""

from __future__ import annotations

from collections import namedtuple
from typing import Any, Final

from app.measured.threshold_stops import KEPT_PERCENTS
from app.session.settings import CODEBOOK_SIZE, CODEBOOKS, COMPARE, NEAREST_CODES, settings_of, with_values
from sparcode.config import RunConfig

CHOSEN: Final = settings_of(COMPARE)
# What can be chosen anew where the backbone is given.
CODES: Final = (CODEBOOKS, CODEBOOK_SIZE, NEAREST_CODES)
DEFAULTS: Final = RunConfig()
_BETWEEN: Final = "_"
# Order of the values in older links, whose pins do not name their settings.
_UNNAMED: Final = ("m", "k", "t", "interaction", "encoder", "seed", "keep")

_Values = namedtuple("_Values", [setting.key for setting in CHOSEN], defaults=[setting.default(DEFAULTS) for setting in CHOSEN])


class Configuration(_Values):
    """A value of every setting in `CHOSEN`, as text; fields are named by the settings' keys."""

    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> Configuration:
        """Read what `text` has written, with defaults for missing settings; ValueError names an unknown setting or a value not allowed."""
        words = text.split(_BETWEEN)
        if "-" not in text and len(words) == len(_UNNAMED):
            words = [f"{key}-{value}" for key, value in zip(_UNNAMED, words, strict=True)]
        settings, values = {setting.key: setting for setting in CHOSEN}, {}
        for word in words:
            key, _, value = word.partition("-")
            if key not in settings:
                raise ValueError(f"there is no setting {key}" if key else "a setting has no name")
            values[key] = settings[key].read(value)
        return cls(**values)

    @property
    def text(self) -> str:
        """All values, with the keys of their settings, in one word for an address."""
        return _BETWEEN.join(f"{key}-{value}" for key, value in self._asdict().items())

    @property
    def codes(self) -> tuple[str, str, str]:
        """M, K and P."""
        return self.m, self.k, self.p

    @property
    def stop(self) -> int:
        """Position of the threshold in `KEPT_PERCENTS`."""
        return KEPT_PERCENTS.index(self.keep)

    @property
    def label(self) -> str:
        """M and K, and the other settings that are not the default, for a legend; without the threshold."""
        shown = [
            (setting, value)
            for setting, value in zip(CHOSEN, self, strict=True)
            if setting.text and (setting in (CODEBOOKS, CODEBOOK_SIZE) or value != setting.default(DEFAULTS))
        ]
        return " ".join(setting.text.format(value) for setting, value in shown)

    def run_config(self, base: RunConfig, codes_alone: bool = False) -> RunConfig:
        """The settings of this choice, everything else as in `base`; with `codes_alone` M, K, P of this choice, all else as in `base`."""
        values = dict(zip(CHOSEN, self, strict=True))
        return with_values(base, {setting: value for setting, value in values.items() if setting in CODES or not codes_alone})

    def difference(self, before: Configuration) -> str:
        """What changed since another choice, in words; empty if nothing did."""
        changed = [f"{setting.symbol} {old} → {new}" for setting, old, new in zip(CHOSEN, before, self, strict=True) if old != new]
        return ", ".join(changed)


def label_of(config: RunConfig) -> str:
    """The settings as `Configuration.label` writes them."""
    values: dict[str, Any] = {setting.key: str(setting.value_in(config)) for setting in CHOSEN if setting.in_run}
    return Configuration(**values).label
