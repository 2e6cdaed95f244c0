"""What a chart says, in its own numbers: titles that follow the threshold, made alike by the server and for the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

# Sizes nearer to each other would be called 1.0 times as large.
_ALIKE: Final = 1.05


def most_accurate(megabytes: np.ndarray, recall: np.ndarray) -> tuple[float, float] | None:
    """(MB, recall) of the best recall on a line of (n,) points, the smallest of equals; None without points."""
    if len(recall) == 0:
        return None
    best = np.flatnonzero(recall == recall.max())
    at = best[np.argmin(megabytes[best])]
    return float(megabytes[at]), float(recall[at])


def size_takeaway(current: tuple[float, float], best: tuple[float, float] | None) -> str:
    """A threshold's size and recall beside those of the most accurate threshold, (MB, recall) each; empty without one."""
    if best is None or min(current[0], best[0]) <= 0:
        return ""
    (size, recall), (size_of_best, most) = current, best
    lost, change = most - recall, f"{size_of_best:.3g} → {size:.3g} MB"
    if lost <= 0 and size >= size_of_best:
        return f"The most it finds: recall {recall:.3f} at {size:.3g} MB"
    if max(size, size_of_best) < _ALIKE * min(size, size_of_best):
        return f"{max(0.0, lost):.3f} recall less than the most it finds, at about its size: {size:.3g} MB"
    if size < size_of_best:
        return f"{_times(size_of_best / size)} times smaller for {max(0.0, lost):.3f} recall: {change}"
    return f"{_times(size / size_of_best)} times larger, {lost:.3f} recall less: {change}"


def accuracy_takeaway(recall: float, percent: float, ceiling: float | None) -> str:
    """Recall at a share of scores kept, in percent, beside that without codes (None: unknown)."""
    kept = f"{percent:.3g} % of scores"
    return f"Recall {recall:.3f} from {kept}" if not ceiling else f"{recall / ceiling:.0%} of the recall without codes, {kept}"


def memory_takeaway(megabytes: Mapping[str, float]) -> str:
    """The share of an index's postings in all its bytes, by part in MB; empty for an index of no bytes."""
    total = sum(megabytes.values())
    postings = megabytes.get("item_ids", 0.0) + megabytes.get("scores", 0.0)
    return f"{postings / total:.0%} of {total:.3g} MB are scores and their items" if total > 0 else ""


def usage_takeaway(perplexity: np.ndarray, size: int) -> str:
    """How many of K codewords would be used as evenly, the mean of (M,) codebooks."""
    return f"As even as {float(np.mean(perplexity)):.0f} of {size} codewords used alike"


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
