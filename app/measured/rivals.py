"""Every way to serve in one row beside SparCode: recall, speed and memory, each better, the same or worse, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from app.measured.verdict import WITHIN, latency_outcome, least_effort, recall_difference, recall_outcome, size_outcome, times_text
from sparcode.comparison.measuring import Measurement
from sparcode.comparison.peers import ALL_TO_ALL, COOCCURRENCE, EASE_NAME, FLAT, SPARCODE

Standing = Literal["better", "same", "worse"]
# How a rival stands where SparCode wins, ties or loses.
_STANDING: Final[dict[str, Standing]] = {"wins": "worse", "ties": "same", "loses": "better"}
# They score every item of the catalogue, so their time grows with it.
EXHAUSTIVE: Final = (FLAT, ALL_TO_ALL, EASE_NAME, COOCCURRENCE)


class Rival(NamedTuple):
    """A way to serve at one setting, and how it stands to SparCode; all "same" for SparCode itself.

    `difference` is its mean recall less SparCode's over the users that have both, `noise` the one up to which recall counts as the same;
    both NaN where they are not known.
    """

    point: Measurement
    recall: Standing
    speed: Standing
    memory: Standing
    noise: float = math.nan
    difference: float = math.nan

    @property
    def is_sparcode(self) -> bool:
        """Whether this is the row that the others are compared with."""
        return self.point.name == SPARCODE


def rivals(points: Sequence[Measurement]) -> list[Rival]:
    """One row for every way to serve, by falling recall; empty while SparCode is not timed.

    Each stands at its least effort within 1% of its own best recall. Recall differs if the mean difference of the same users is more than
    two standard errors, times if their quartiles between rounds do not overlap, memory from 5% on. A way's settings are in order of rising
    effort; points without a timed round do not count.
    """
    timed = [point for point in points if point.n_rounds]
    chosen = {name: _chosen([point for point in timed if point.name == name]) for name in dict.fromkeys(point.name for point in timed)}
    if SPARCODE not in chosen:
        return []
    ours = chosen[SPARCODE]
    return sorted((_beside(ours, point) for point in chosen.values()), key=lambda rival: -rival.point.recall)


def _chosen(points: Sequence[Measurement]) -> Measurement:
    return least_effort(points, WITHIN * max(point.recall for point in points))


def _beside(ours: Measurement, theirs: Measurement) -> Rival:
    if theirs is ours:
        return Rival(ours, "same", "same", "same")
    outcomes = (recall_outcome(ours, theirs), latency_outcome(ours.p50_ms, theirs.p50_ms), size_outcome(ours, theirs))
    difference, noise = recall_difference(theirs, ours)
    return Rival(theirs, *(_STANDING[outcome] for outcome in outcomes), noise, difference)


def suffices(rows: Sequence[Rival]) -> list[Rival]:
    """The ways that score every item and are beaten by SparCode neither in recall nor in speed: brute force is then the right answer."""
    return [row for row in rows if row.point.name in EXHAUSTIVE and "worse" not in (row.recall, row.speed)]


def so_what(rows: Sequence[Rival], n_items: int) -> str:
    """One sentence, in Markdown, on whether to score every item or to use SparCode on a catalogue of so many items; empty if unknown."""
    ours = next((row.point for row in rows if row.is_sparcode), None)
    brute = [row for row in rows if row.point.name in EXHAUSTIVE]
    if ours is None or not brute:
        return ""
    if enough := suffices(rows):
        return _brute_force(max(enough, key=lambda row: row.point.recall), ours, n_items)
    more = [row for row in brute if row.recall == "better"]
    if more:
        soonest = min(more, key=lambda row: row.point.p50_ms.middle).point
        return (
            f"**At {n_items:,} items brute force is the right answer where {soonest.p50_ms.middle:.2g} ms a query are fast enough**: "
            f"{soonest.name}, which scores every item, finds {soonest.recall - ours.recall:.3f} more; SparCode is "
            f"{_ratio(soonest, ours)} as fast ({_pair(soonest, ours)})."
        )
    fastest = min(brute, key=lambda row: row.point.p50_ms.middle)
    if fastest.speed == "better":
        return (
            f"**At {n_items:,} items {_most(rows)}, and {fastest.point.name} is {_ratio(ours, fastest.point)} as fast for "
            f"{ours.recall - fastest.point.recall:.3f} less recall**: {_pair(fastest.point, ours)}."
        )
    best = max(brute, key=lambda row: row.point.recall)
    return (
        f"**At {n_items:,} items SparCode is the right answer**: no model that scores every item finds more{_noise_of(brute)}, and it is "
        f"{_ratio(best.point, ours)} as fast as {best.point.name} ({_pair(best.point, ours)})."
    )


def takeaways(rows: Sequence[Rival]) -> tuple[str, str]:
    """What the charts of recall against time and against memory say, in numbers; empty where SparCode is not measured."""
    ours = next((row.point for row in rows if row.is_sparcode), None)
    if ours is None:
        return "", ""
    above = [row.point for row in rows if row.recall == "better"]
    if not above:
        found = f"{_most(rows)}: recall {ours.recall:.3f}".replace("no way", "No way")
        return f"{found} in {ours.p50_ms.middle:.3f} ms", f"{found} in {ours.size_bytes / 1e6:.3g} MB"
    best = max(above, key=lambda point: point.recall)
    more = f"{best.name} finds {best.recall - ours.recall:.3f} more than SparCode"
    time, size = best.p50_ms.middle / ours.p50_ms.middle, best.size_bytes / max(1, ours.size_bytes)
    return f"{more}, in {_share(time)} the time", f"{more}, in {_share(size)} the memory"


def _most(rows: Sequence[Rival]) -> str:
    """That nothing measured finds more than SparCode; call where no row is better."""
    others = [row for row in rows if not row.is_sparcode]
    if any(row.recall != "worse" for row in others):
        return f"no way finds more than SparCode{_noise_of(others)}"
    return "SparCode finds the most"


def _noise_of(rows: Sequence[Rival]) -> str:
    """The noise within which some of the rows are the same, with the largest of it; empty where all differ beyond it."""
    noise = max((row.noise for row in rows if row.recall == "same" and row.noise > 0), default=0.0)
    return f" beyond noise (±{noise:.3f})" if noise else ""


def _share(ratio: float) -> str:
    return f"{ratio:.0%} of" if ratio < 1 else times_text(ratio)


def _brute_force(row: Rival, ours: Measurement, n_items: int) -> str:
    finds = "finds more" if row.recall == "better" else f"finds no less{_noise_of([row])}"
    speed = f"is {_ratio(ours, row.point)} as fast" if row.speed == "better" else "is as fast within the noise"
    return (
        f"**At {n_items:,} items brute force is the right answer**: {row.point.name}, which scores every item, {finds} and {speed} "
        f"({_pair(row.point, ours)})."
    )


def _ratio(slow: Measurement, fast: Measurement) -> str:
    return times_text(slow.p50_ms.middle / fast.p50_ms.middle)


def _pair(theirs: Measurement, ours: Measurement) -> str:
    sizes = f"{theirs.size_bytes / 1e6:.2f} against {ours.size_bytes / 1e6:.2f} MB"
    times = f"{theirs.p50_ms.middle:.3f} against {ours.p50_ms.middle:.3f} ms"
    return f"recall {theirs.recall:.3f} against SparCode's {ours.recall:.3f}, {times}, {sizes}"
