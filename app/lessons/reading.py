"""What an experiment measured, and what that says of a claim."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

# Standard errors of a mean difference per user from which on it counts as more than noise.
ERRORS: Final = 2.0
# What the error of a difference says, and what it does not.
ERROR_OF: Final = (
    f"± is one standard error over users, and more than {ERRORS:g} count; each way is trained once, and another seed may differ by as much"
)
BY_USER: Final = f"user by user; {ERROR_OF}"


@dataclass(frozen=True)
class Row:
    """One thing measured: its name, and figures by name; rows of one name are a line over another figure."""

    name: str
    values: Mapping[str, float]

    def __getitem__(self, figure: str) -> float:
        """A figure; KeyError names the ones there are."""
        if figure not in self.values:
            raise KeyError(f"{self.name} has no figure {figure}; it has {', '.join(self.values)}")
        return self.values[figure]


Rows = Sequence[Row]


class Reading(NamedTuple):
    """What the figures say of one claim.

    Attributes
    ----------
    claim
        As a paper or a lecture states it.
    holds
        Whether the figures bear it out.
    headline
        One sentence with the figures that decide it.
    text
        Further sentences in Markdown, with figures; may be empty.
    """

    claim: str
    holds: bool
    headline: str
    text: str = ""


def named(rows: Rows, name: str) -> Row:
    """The only row of a name; ValueError if there is none or more than one."""
    found = [row for row in rows if row.name == name]
    if len(found) != 1:
        raise ValueError(f"one row must be named {name}; got {len(found)} of {len(rows)}")
    return found[0]


def line(rows: Rows, name: str) -> list[Row]:
    """All rows of a name, in order."""
    return [row for row in rows if row.name == name]


def outcome(gain: float, error: float) -> int:
    """1 or -1 for a mean difference above or below 0 by more than `ERRORS` standard errors, else 0; NaN counts as 0."""
    if math.isnan(gain) or math.isnan(error) or abs(gain) <= ERRORS * error:
        return 0
    return 1 if gain > 0 else -1


def gain_text(gain: float, error: float) -> str:
    """A difference of recall with its standard error, and whether it is more than noise."""
    noise = "" if outcome(gain, error) else " (within noise)"
    return f"{gain:+.4f} ± {error:.4f}{noise}"


def times_text(ratio: float) -> str:
    """A ratio as times: two digits below 10."""
    return f"{ratio:.2g} times" if ratio < 10 else f"{ratio:,.0f} times"
