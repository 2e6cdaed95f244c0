"""How large a catalogue a lesson grows: experiments take about a minute on one core, whatever the data, and leave memory to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sparcode.comparison.grown_ways import WayPlan
from sparcode.model.all_to_all import AllToAllModel
from sparcode.model.grown import growing_bytes
from sparcode.model.sparcode_model import SparCodeModel
from sparcode.model.two_tower import TwoTowerModel

# Scores E(code, item) that are computed for an index at most; with half of them kept it takes 400 MB.
MOST_SCORES: Final = 100_000_000
LIMITS: Final = f"at most as many as {MOST_SCORES / 1e6:,.0f} million scores and {WayPlan().max_bytes / 2**30:g} GiB allow"


def largest(wanted: int, models: Sequence[SparCodeModel | TwoTowerModel | AllToAllModel], n_codes: int) -> int:
    """The largest catalogue of up to `wanted` items that the models can be grown to together; never smaller than the real one.

    `n_codes` is the number of codes that get a list.
    """
    fits = WayPlan().max_bytes // sum(growing_bytes(model, 1) for model in models)
    return max(models[0].n_items, min(wanted, fits, MOST_SCORES // max(1, n_codes)))


def size_text(n_items: float, times: float) -> str:
    """The size of a grown catalogue in words; `times` is what it is of the real one."""
    return f"{n_items:,.0f} items ({'the real ones' if times == 1 else f'{times:.3g} times the real ones'})"
