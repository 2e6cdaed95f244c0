"""The threshold slider's stops: fixed shares of scores kept, each the real tau of the index at hand.

Shares are the same for every index, so a link or a change of codebooks keeps its meaning; tau is not, because scores differ by index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sparcode.config import TrainingConfig

# Compiled code, seconds to load: the header of every page asks for the stops alone.
if TYPE_CHECKING:
    from sparcode.index.inverted_index import InvertedIndex

MOST_KEPT: Final = 0.5
LEAST_KEPT: Final = 0.001
N_STOPS: Final = 100
# Stops of a larger index are placed by a sample of its scores; sorting all of them takes seconds.
MAX_SORTED_SCORES: Final = 2_000_000


def percent_text(share: float) -> str:
    """A share from 0 to 1 in percent with three digits, as in the slider and the address."""
    return f"{100 * share:.3g}"


DEFAULT_PERCENT: Final = percent_text(TrainingConfig().density)


def _kept_percents() -> tuple[str, ...]:
    shares = np.concatenate([np.geomspace(MOST_KEPT, LEAST_KEPT, N_STOPS), [TrainingConfig().density]])
    return tuple(dict.fromkeys(percent_text(share) for share in np.sort(shares)[::-1]))


# Descending: the lowest threshold first.
KEPT_PERCENTS: Final = _kept_percents()


# Stops that growing catalogues are measured at, ascending: on large ones few scores find most of what all of them find.
SCALE_MEASURED: Final = ("0.1", "0.31", "1.02", "4.9", DEFAULT_PERCENT)


def share_of(percent: str) -> float:
    """The share from 0 to 1 that a stop's text stands for."""
    return float(percent) / 100


def threshold_stops(index: InvertedIndex, default_threshold: float) -> np.ndarray:
    """The threshold of every entry of `KEPT_PERCENTS` in one index, (len(KEPT_PERCENTS),) float64, ascending.

    None lies below the index's lowest stored score. `default_threshold`, the tau of training, is the stop of `DEFAULT_PERCENT`.
    """
    scores = index.scores
    n_pairs = index.n_lists * index.n_items
    if len(scores) == 0 or n_pairs == 0:
        return np.full(len(KEPT_PERCENTS), index.floor)
    sample = scores if len(scores) <= MAX_SORTED_SCORES else scores[:: -(-len(scores) // MAX_SORTED_SCORES)]
    ordered = np.sort(sample)[::-1]
    kept = np.array([float(text) / 100 for text in KEPT_PERCENTS]) * n_pairs * (len(ordered) / len(scores))
    # Postings above tau are kept, so tau is the score that follows the last one to keep.
    positions = np.rint(kept).astype(np.int64)
    stops = np.where(positions < len(ordered), ordered[np.minimum(positions, len(ordered) - 1)].astype(np.float64), index.floor)
    stops[KEPT_PERCENTS.index(DEFAULT_PERCENT)] = default_threshold
    return np.maximum.accumulate(np.maximum(stops, index.floor))


def coarse_to_fine(n_stops: int) -> list[np.ndarray]:
    """Stops in the order a curve is measured, int64 positions: every 16th first, then those between, each stop once."""
    done = np.zeros(n_stops, dtype=bool)
    rounds = []
    for step in (16, 8, 4, 2, 1):
        wanted = np.zeros(n_stops, dtype=bool)
        wanted[::step] = True
        wanted[-1] = True
        rounds.append(np.flatnonzero(wanted & ~done))
        done |= wanted
    return [positions for positions in rounds if len(positions)]
