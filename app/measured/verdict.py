"""Reads a measurement in plain words that quote its numbers: where SparCode wins, loses, or cannot be told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from sparcode.comparison.measuring import Band, Measurement
from sparcode.comparison.peers import FLAT, SEARCHED, SPARCODE, Peer, TwoTowerIndex

Outcome = Literal["wins", "ties", "loses"]
_AT_MOST: Final[dict[Outcome | None, str]] = {
    "wins": "At its most accurate, SparCode finds more than two-tower at any setting.",
    "ties": "At their most accurate, noise does not tell the recall of SparCode and two-tower apart.",
    "loses": "Even at its most accurate, SparCode finds less than two-tower.",
    None: "",
}

# A peer is taken at its least effort within 1% of the exact recall.
WITHIN: Final = 0.99
# Standard errors of the mean difference per user from which on it is significant.
ERRORS: Final = 2.0
SAME_SIZE: Final = 0.05


class Duel(NamedTuple):
    """SparCode against one peer, each at the setting that is compared, and how SparCode does."""

    ours: Measurement
    theirs: Measurement
    recall: Outcome
    latency: Outcome
    size: Outcome


class Verdict(NamedTuple):
    """The reading of a measurement.

    Attributes
    ----------
    headline
        How SparCode does at the recall it has to reach, without figures.
    at_most
        How the highest recall of SparCode compares with two-tower's, without figures; empty without two-tower.
    sentences
        One per peer, with figures, and one on the highest recall if two-tower is among them.
    missing
        Names of the peers without a sentence.
    """

    headline: str
    at_most: str
    sentences: tuple[str, ...]
    missing: tuple[str, ...]


def verdict(points: Sequence[Measurement], peers: Sequence[Peer] = SEARCHED) -> Verdict:
    """Read a measurement: settings of a peer in order of rising effort; points without a timed round do not count."""
    timed = [point for point in points if point.n_rounds]
    kinds = _headline_order(peers)
    duels = [found for kind in kinds if (found := duel(timed, kind)) is not None]
    met = {found.theirs.name for found in duels}
    missing = tuple(kind for kind in kinds if kind not in met)
    if not any(point.name == SPARCODE for point in timed):
        return Verdict("No verdict: SparCode is not measured yet.", "", (), missing)
    if not duels:
        return Verdict("No verdict: no peer is measured yet.", "", (), missing)
    page_order = [peer.name for peer in peers]
    in_page_order = sorted(duels, key=lambda found: page_order.index(found.theirs.name))
    outcome, at_most = _most_recall([point for point in timed if point.name == SPARCODE], [p for p in timed if p.name in _two_tower(peers)])
    return Verdict(_headline(duels[0]), _AT_MOST[outcome], (*map(_sentence, in_page_order), *at_most), missing)


def _two_tower(peers: Sequence[Peer]) -> list[str]:
    return [peer.name for peer in peers if isinstance(peer, TwoTowerIndex)]


def _headline_order(peers: Sequence[Peer]) -> list[str]:
    """Names but SparCode's; the first one measured makes the headline: an approximate index of two-tower, then the exact one."""
    approximate = [name for name in _two_tower(peers) if name != FLAT]
    return list(dict.fromkeys([*approximate, FLAT, *(peer.name for peer in peers if peer.name != SPARCODE)]))


def duel(points: Sequence[Measurement], kind: str) -> Duel | None:
    """SparCode against a peer, at settings chosen without looking at times, so that no lucky one is picked; None if one is missing.

    The peer is taken at its least effort within 1% of the exact two-tower recall (all-to-all as it is); SparCode at the fewest scores that
    find at least as much. Where nothing reaches that, the least effort within 1% of its own best is taken. Points are timed, a kind's
    settings in order of rising effort.
    """
    ours = [point for point in points if point.name == SPARCODE]
    theirs = [point for point in points if point.name == kind]
    if not ours or not theirs:
        return None
    exact = next((point.recall for point in points if point.name == FLAT), max(point.recall for point in theirs))
    peer = least_effort(theirs, WITHIN * exact)
    mine = least_effort(ours, peer.recall)
    recall = recall_outcome(mine, peer)
    return Duel(mine, peer, recall, latency_outcome(mine.p50_ms, peer.p50_ms), size_outcome(mine, peer))


def least_effort(points: Sequence[Measurement], recall: float) -> Measurement:
    """The first point of at least this recall, else of at least 99% of the best one; points in order of rising effort."""
    best = max(point.recall for point in points)
    least = recall if best >= recall else WITHIN * best
    return next(point for point in points if point.recall >= least)


def recall_outcome(ours: Measurement, theirs: Measurement) -> Outcome:
    """Whether the mean difference of the same users' recall is more than `ERRORS` standard errors."""
    mean, noise = recall_difference(ours, theirs)
    return "wins" if mean > noise else "loses" if mean < -noise else "ties"


def recall_difference(ours: Measurement, theirs: Measurement) -> tuple[float, float]:
    """The mean difference of the same users' recall, and `ERRORS` standard errors of it; NaN below two users."""
    change = ours.recall_by_query - theirs.recall_by_query
    change = change[np.isfinite(change)]
    if len(change) < 2:
        return math.nan, math.nan
    return float(change.mean()), ERRORS * float(change.std(ddof=1)) / math.sqrt(len(change))


def latency_outcome(ours: Band, theirs: Band) -> Outcome:
    """The smaller one wins unless the quartiles between rounds overlap."""
    if ours.overlaps(theirs):
        return "ties"
    return "wins" if ours.middle < theirs.middle else "loses"


def size_outcome(ours: Measurement, theirs: Measurement) -> Outcome:
    """The smaller one wins from a difference of `SAME_SIZE` on."""
    if abs(ours.size_bytes - theirs.size_bytes) <= SAME_SIZE * theirs.size_bytes:
        return "ties"
    return "wins" if ours.size_bytes < theirs.size_bytes else "loses"


def _headline(found: Duel) -> str:
    asked = {"recall": found.recall, "speed": found.latency, "memory": found.size}
    named = {outcome: listed([name for name, value in asked.items() if value == outcome]) for outcome in ("wins", "ties", "loses")}
    parts = [f"{word} on {named[outcome]}" for outcome, word in (("wins", "wins"), ("loses", "loses")) if named[outcome]]
    if named["ties"]:
        parts.append(f"cannot be told apart on {named['ties']}")
    return f"Against {found.theirs.name}, SparCode {', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]}."


def _most_recall(sparcode: Sequence[Measurement], two_tower: Sequence[Measurement]) -> tuple[Outcome | None, tuple[str, ...]]:
    """How the highest recall of SparCode compares with two-tower's at any setting, and the sentence that says so."""
    if not two_tower:
        return None, ()
    ours = max(sparcode, key=lambda point: point.recall)
    theirs = max(two_tower, key=lambda point: point.recall)
    outcome = recall_outcome(ours, theirs)
    share = f", {ours.recall / theirs.recall:.0%} of it" if theirs.recall > 0 else ""
    noise = "within the noise" if outcome == "ties" else "beyond the noise"
    by = f"{theirs.label}"
    return outcome, (
        f"**At most** recall is {theirs.recall:.3f} with two-tower ({by}; {_band(theirs.p50_ms)}, {_size(theirs)}) and "
        f"**{ours.recall:.3f}** with SparCode{share}, {noise} (keeping {ours.setting}; {_band(ours.p50_ms)}, {_size(ours)}).",
    )


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _sentence(found: Duel) -> str:
    ours, theirs = found.ours, found.theirs
    name = theirs.name
    setting = f"{theirs.setting}: " if theirs.setting else ""
    return (
        f"**{name[0].upper()}{name[1:]}** ({setting}recall {theirs.recall:.3f}, {_band(theirs.p50_ms)}, {_size(theirs)}). SparCode, "
        f"keeping {ours.setting}, finds {_recall_words(found)}, {_latency_words(found)} and takes {_size_words(found)}."
    )


def _recall_words(found: Duel) -> str:
    ours, theirs = found.ours.recall, found.theirs.recall
    if found.recall == "ties":
        return f"{ours:.3f}, **within the noise** of it"
    share = f", {ours / theirs:.0%} of it" if theirs > 0 else ""
    return f"**{'more' if found.recall == 'wins' else 'less'}** ({ours:.3f}{share}; beyond the noise)"


def _latency_words(found: Duel) -> str:
    ours, theirs = found.ours.p50_ms, found.theirs.p50_ms
    if found.latency == "ties":
        return f"is **as fast** within the noise ({_band(ours)})"
    if found.latency == "wins":
        return f"is **{times_text(theirs.middle / ours.middle)} as fast** ({_band(ours)})"
    return f"takes **{times_text(ours.middle / theirs.middle)} as long** ({_band(ours)})"


def _size_words(found: Duel) -> str:
    ours, theirs = found.ours.size_bytes, found.theirs.size_bytes
    if found.size == "ties":
        return f"**about the same memory** ({_size(found.ours)})"
    if found.size == "wins":
        return f"**{ours / max(theirs, 1):.0%} of the memory** ({_size(found.ours)})"
    return f"**{times_text(ours / max(theirs, 1))} the memory** ({_size(found.ours)})"


def times_text(ratio: float) -> str:
    """A ratio in words."""
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times" if ratio >= 1.1 else f"{ratio:.2f} times"


def _band(band: Band) -> str:
    return f"{band.middle:.3f} ms [{band.low:.3f} to {band.high:.3f}]"


def _size(point: Measurement) -> str:
    return f"{point.size_bytes / 1e6:,.2f} MB"
