"""What measurements on growing catalogues say, in words made from the numbers: crossings, ratios, slopes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from app.measured.verdict import listed
from sparcode.comparison.found_share import FOUND_K
from sparcode.comparison.grown_ways import WayPlan
from sparcode.comparison.growth import GrowthPoint
from sparcode.comparison.growth_lines import Crossing, Line, at_enough, crossing, line_of
from sparcode.comparison.peers import FLAT, HNSW, IVF_FLAT, SPARCODE

# Slopes are those of sizes where a query's fixed costs matter less.
SLOPE_FROM: Final = 10_000
# Not a hyphen, which a table would draw as a list.
NONE: Final = "–"
# Share found from which on a way stands in for the exact one; HNSW and IVF are set to it.
ENOUGH: Final = WayPlan().enough
# Missed by a way that missed nothing of what was asked, for a logarithm.
_FOUND_ALL: Final = 1e-6
# SparCode counts as sooner where it is so by more than this share: medians of a few dozen queries differ by as much from run to run.
NOISE: Final = 0.1
# Where both answer within so many milliseconds, a query's fixed costs are most of the time.
NO_MATTER_MS: Final = 0.2
_RIVALS: Final = {HNSW: "HNSW", IVF_FLAT: "IVF-Flat"}
# Ratios nearer to 1 are called equal, by this word.
_EQUAL: Final = 0.05
SAME: Final = "the same"


def time_of(point: GrowthPoint) -> float:
    """Milliseconds per query."""
    return point.p50_ms


def memory_of(point: GrowthPoint) -> float:
    """Bytes."""
    return float(point.size_bytes)


def build_of(point: GrowthPoint) -> float:
    """Seconds to build; NaN where nothing is built."""
    return point.build_seconds


def headline(points: Sequence[GrowthPoint]) -> str:
    """When SparCode answers sooner than exact two-tower if it is set as HNSW and IVF are: to find `ENOUGH` at the least effort.

    The end names the sizes measured at which no share finds enough.
    """
    which, fitted = f"SparCode, set to find {found_text(ENOUGH)} of its own exact top {FOUND_K},", at_enough(points, ENOUGH)
    return " ".join(filter(None, (_answer(fitted, f"{which} answers sooner than exact two-tower", None, ""), _too_few(points, fitted))))


def _too_few(points: Sequence[GrowthPoint], fitted: Sequence[GrowthPoint]) -> str:
    """The sizes at which no share finds enough; empty where there is none, or none is measured beside exact two-tower."""
    exact = {point.n_items for point in points if point.name == FLAT}
    enough = {point.n_items for point in fitted if point.name == SPARCODE}
    short = [point for point in points if point.name == SPARCODE and point.n_items in exact - enough]
    if not short:
        return ""
    most = max(point.found for point in short)
    return (
        f"At {_sizes_text(point.n_items for point in short)} items no measured share of SparCode's scores finds {found_text(ENOUGH)} of "
        f"its own exact top {FOUND_K}; the most found is {found_text(most)}."
    )


def _sizes_text(sizes: Iterable[int]) -> str:
    return listed([f"{size:,}" for size in sorted(set(sizes))])


def answer(chosen: Sequence[GrowthPoint]) -> str:
    """When SparCode answers sooner than exact two-tower, and by how much at the largest size that both have; one SparCode point a size."""
    sooner, enough = "SparCode answers sooner than exact two-tower", finds_enough_from(chosen)
    top = f" of its own exact top {FOUND_K}"
    if enough is None:
        said = _answer(chosen, sooner, None, ", finding {}" + top)
    else:
        said = _answer(chosen, f"{sooner} and finds at least {found_text(ENOUGH)}{top}", enough, ", finding {}")
    sizes = {name: {point.n_items for point in chosen if point.name == name} for name in (SPARCODE, FLAT)}
    missing = sizes[FLAT] - sizes[SPARCODE]
    return f"{said} At {_sizes_text(missing)} items this share is not measured." if said and missing else said


def _answer(chosen: Sequence[GrowthPoint], sooner: str, enough: Crossing | None, finding: str) -> str:
    """The sentence; it holds from `enough` on at the earliest, and ends with `finding`, which takes the share found."""
    ours, exact = line_of(chosen, SPARCODE, time_of), line_of(chosen, FLAT, time_of)
    largest = _largest(ours, exact)
    if math.isnan(largest):
        return ""
    (point,) = [point for point in chosen if point.name == SPARCODE and point.n_items == largest]
    times = f"{_own_time(point)} against {time_text(exact.at(largest))}"
    found = crossing(ours._replace(values=ours.values * (1 + NOISE)), exact)
    if found is None:
        if ours.at(largest) <= exact.at(largest) * (1 + NOISE):
            return f"At {largest:,.0f} items noise does not tell SparCode and exact two-tower apart: SparCode takes {times}."
        return f"At {largest:,.0f} items exact two-tower answers sooner than SparCode: SparCode takes {times}."
    found = found if enough is None else max(found, enough)
    start = f"From {rounded(found.n_items)} items on"
    if found.from_start:
        n_common, n_sizes = len(np.intersect1d(ours.n_items, exact.n_items)), len(exact.n_items)
        start = "At every size measured" if n_common == n_sizes else f"At {n_common} of the {n_sizes} sizes measured"
    faster, memory = _times(ours.at(largest) / exact.at(largest), "time"), _times(_ratio(chosen, memory_of, largest), "memory")
    return f"{start} {sooner}: at {largest:,.0f} items in {faster} ({times}), with {memory}{finding.format(found_text(point.found))}."


def finds_enough_from(points: Sequence[GrowthPoint]) -> Crossing | None:
    """From how many items on SparCode finds `ENOUGH` of its own best; None if it does not at its largest size.

    Between sizes the share not found lies on a line between its logarithms.
    """
    missed = line_of(points, SPARCODE, lambda point: max(1 - point.found, _FOUND_ALL))
    return crossing(missed, missed._replace(values=np.full(len(missed.values), 1 - ENOUGH + _FOUND_ALL)))


def beside_rivals(chosen: Sequence[GrowthPoint]) -> str:
    """SparCode beside HNSW and IVF, each at the largest size that both have; empty where there is none."""
    parts = [part for name, words in _RIVALS.items() if (part := _beside(chosen, name, words))]
    return ("Beside " + "; beside ".join(parts) + ".") if parts else ""


def _beside(chosen: Sequence[GrowthPoint], name: str, words: str) -> str:
    largest = _largest(line_of(chosen, SPARCODE, time_of), line_of(chosen, name, time_of))
    if math.isnan(largest):
        return ""
    at_largest = {point.name: point for point in chosen if point.n_items == largest}
    ours, theirs = at_largest[SPARCODE], at_largest[name]
    return (
        f"{words} at {largest:,.0f} items, which finds {found_text(theirs.found)}: {_times(ours.p50_ms / theirs.p50_ms, 'time')} "
        f"({_own_time(ours)} against {time_text(theirs.p50_ms)}), {_times(ours.size_bytes / theirs.size_bytes, 'memory')}"
    )


def at_real_size(chosen: Sequence[GrowthPoint], n_items: int) -> str:
    """Whether brute force is the right answer on the real catalogue; empty before it is measured."""
    found = {point.name: point for point in chosen if point.n_items == n_items}
    if FLAT not in found:
        return ""
    exact = found[FLAT]
    if SPARCODE not in found:
        return (
            f"At {n_items:,} items, the real size, brute force is the right answer: exact two-tower takes {time_text(exact.p50_ms)}, and "
            f"no measured share of SparCode's scores finds {found_text(ENOUGH)} of its own best."
        )
    ours = found[SPARCODE]
    both = f"exact two-tower takes {time_text(exact.p50_ms)}, SparCode {_own_time(ours)}"
    both += f" and finds {found_text(ours.found)} of its own best"
    if exact.p50_ms <= ours.p50_ms * (1 + NOISE) or ours.found < ENOUGH:
        return f"At {n_items:,} items, the real size, brute force is the right answer: {both}."
    if max(exact.p50_ms, ours.p50_ms) < NO_MATTER_MS:
        return f"At {n_items:,} items, the real size, {both}: too little to matter, since a query's fixed costs are most of it."
    return f"At {n_items:,} items, the real size, {both}: {ratio_text(ours.p50_ms / exact.p50_ms)} of the time."


def slope_text(points: Sequence[GrowthPoint], name: str, value: Callable[[GrowthPoint], float]) -> str:
    """How a way's value grows: the exponent over sizes from `SLOPE_FROM` on, a dash below two of them."""
    slope = line_of(points, name, value).slope(SLOPE_FROM)
    return NONE if math.isnan(slope) else f"{slope:.2f}"


def sign_of(point: GrowthPoint) -> str:
    """What stands before the figures of a point between measured shares; empty for a measured one."""
    return "≈ " if point.setting.startswith("≈") else ""


def _own_time(point: GrowthPoint) -> str:
    return sign_of(point) + time_text(point.p50_ms)


def rounded(n_items: float) -> str:
    """A size read off between measured ones, to two digits."""
    return f"about {float(f'{n_items:.2g}'):,.0f}"


def time_text(milliseconds: float) -> str:
    """Milliseconds with three digits."""
    return f"{milliseconds:.3g} ms"


def found_text(share: float) -> str:
    """A share found in whole percent, never rounded up to all."""
    return f"{math.floor(100 * share)}%" if share > 0.995 and share < 1 else f"{share:.0%}"


def _largest(one: Line, other: Line) -> float:
    """The largest size that two lines have; NaN where there is none."""
    common = set(one.n_items.tolist()) & set(other.n_items.tolist())
    return max(common, default=math.nan)


def _ratio(points: Sequence[GrowthPoint], value: Callable[[GrowthPoint], float], n_items: float) -> float:
    return line_of(points, SPARCODE, value).at(n_items) / line_of(points, FLAT, value).at(n_items)


def ratio_text(ratio: float) -> str:
    """A ratio in words: ``1/12``, ``7.4 times``, or ``the same`` where it is near 1."""
    if abs(ratio - 1) <= _EQUAL:
        return SAME
    if ratio > 1:
        return f"{ratio:.2g} times" if ratio < 99 else f"{ratio:,.0f} times"
    return f"1/{1 / ratio:.2g}" if ratio > 0.0101 else f"1/{1 / ratio:,.0f}"


def _times(ratio: float, what: str) -> str:
    """A ratio of ours to theirs: ``1/12 of its time``, ``7.4 times its memory``."""
    words = ratio_text(ratio)
    if words == SAME:
        return f"{SAME} {what}"
    return f"{words} its {what}" if ratio > 1 else f"{words} of its {what}"
