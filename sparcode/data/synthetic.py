"""Synthetic data: a planted catalogue whose structure is known exactly.

Items lie in a small taste space (genre, era and a personal offset); a user has one to four tastes in it. The *linear* part of the affinity
is the dot product of the user's average taste with the item, which a two-tower model of that dimension expresses exactly. The *nonlinear*
part, of share `SyntheticConfig.nonlinear_share`, is the best dot product over the user's tastes: opposite tastes do not cancel, and no
single dot product of small dimension equals it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from sparcode.config import SyntheticConfig
from sparcode.data.interactions import Histories, Interactions, offsets

LATENT_DIM = 8
GENRES = ("Drama", "Comedy", "Thriller", "Romance", "Sci-Fi", "Fantasy", "Mystery", "Horror", "Western", "Documentary", "Musical", "War")
ERAS = (1950, 1970, 1985, 2000, 2015)
MAX_TASTES = 4
MEDIAN_HISTORY = 50
HISTORY_SPREAD = 0.5
SHARPNESS = 12.0
POPULARITY = 0.5

_FIRST_WORDS = {
    "Drama": ("Quiet", "Distant", "Broken", "Last", "Inherited"),
    "Comedy": ("Accidental", "Cheerful", "Borrowed", "Terrible", "Sunday"),
    "Thriller": ("Cold", "Vanishing", "Double", "Midnight", "Silent"),
    "Romance": ("Tender", "Summer", "Forgotten", "Second", "Velvet"),
    "Sci-Fi": ("Orbital", "Binary", "Glass", "Infinite", "Synthetic"),
    "Fantasy": ("Emerald", "Enchanted", "Dragon", "Silver", "Hidden"),
    "Mystery": ("Locked", "Crooked", "Missing", "Seventh", "Foggy"),
    "Horror": ("Hollow", "Crimson", "Whispering", "Buried", "Hungry"),
    "Western": ("Dusty", "Lonesome", "Iron", "Prairie", "Outlaw"),
    "Documentary": ("Living", "Untold", "Deep", "Melting", "Human"),
    "Musical": ("Dancing", "Golden", "Singing", "Starlit", "Broadway"),
    "War": ("Burning", "Fallen", "Northern", "Final", "Scarlet"),
}
_LAST_WORDS = (
    *("Harbor", "Letters", "Station", "Garden", "River", "Signal", "Mountain", "Window", "Promise", "Road"),
    *("Island", "Kingdom", "Shadow", "Winter", "Machine", "Horizon", "Orchard", "Bridge", "Lantern", "Voyage"),
)


class Planted(NamedTuple):
    """The generator's true affinities, (n_users, n_items) float32, and (n_items, LATENT_DIM) float32 unit `item_vectors`.

    `affinity` (before popularity and noise) and its uncorrelated parts `linear` and `nonlinear` have unit variance.
    """

    affinity: np.ndarray
    linear: np.ndarray
    nonlinear: np.ndarray
    item_vectors: np.ndarray


def generate(config: SyntheticConfig | None = None) -> Interactions:
    """Generate the planted data set; None takes the settings of the app's embedded data.

    Items have title, genres and year. Histories are in random order, so `has_time` is false.
    """
    config = config or SyntheticConfig()
    rng = np.random.default_rng(config.seed)
    catalogue, item_vectors, popularity = _catalogue(config, rng)
    planted = _affinity(config, rng, item_vectors)
    signal = (1 - config.difficulty) * SHARPNESS
    # Gumbel top-n draws n items without replacement with probability softmax(logits) (Plackett-Luce).
    logits = signal * planted.affinity + POPULARITY * popularity + rng.gumbel(size=planted.affinity.shape).astype(np.float32)
    lengths = np.exp(rng.normal(np.log(MEDIAN_HISTORY), HISTORY_SPREAD, config.n_users)).astype(np.int64)
    lengths = np.clip(lengths, 8, max(8, config.n_items // 4))
    longest = int(lengths.max())
    picked = np.argpartition(-logits, longest - 1, axis=1)[:, :longest]
    picked = np.take_along_axis(picked, np.argsort(-np.take_along_axis(logits, picked, axis=1), axis=1), axis=1)
    kept = np.arange(longest)[None, :] < lengths[:, None]  # (n_users, longest)
    # The pick order would reveal the affinity, so histories come shuffled.
    shuffled = np.argsort(np.where(kept, rng.random(picked.shape), np.inf), axis=1)
    items = np.take_along_axis(picked, shuffled, axis=1)[kept]
    indptr = offsets(lengths)
    return Interactions(
        histories=Histories(indptr, items.astype(np.int32), config.n_items),
        user_ids=np.arange(config.n_users),
        item_ids=np.arange(config.n_items),
        items=catalogue,
        name=f"planted catalogue (synthetic, seed {config.seed})",
        synthetic=True,
        has_time=False,
    )


def planted_truth(config: SyntheticConfig | None = None) -> Planted:
    """The truth behind `generate(config)`; same config, same truth."""
    config = config or SyntheticConfig()
    rng = np.random.default_rng(config.seed)
    _, item_vectors, _ = _catalogue(config, rng)
    return _affinity(config, rng, item_vectors)


def inexpressible_share(planted: Planted, dimension: int) -> float:
    """Share of the affinity's variance, in [0, 1], that the best dot product of a dimension cannot express (Eckart-Young).

    Each item may also have a bias: the best constant per item.
    """
    centred = planted.affinity - planted.affinity.mean(axis=0)
    small = centred @ centred.T if centred.shape[0] <= centred.shape[1] else centred.T @ centred
    energy = np.linalg.eigvalsh(small.astype(np.float64))[::-1]
    return float(max(0.0, energy[dimension:].sum() / energy.sum()))


def _catalogue(config: SyntheticConfig, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    genre_vectors = _unit(rng.normal(size=(len(GENRES), LATENT_DIM)))
    era_vectors = _unit(rng.normal(size=(len(ERAS), LATENT_DIM)))
    genre = rng.integers(len(GENRES), size=config.n_items)
    second = np.where(rng.random(config.n_items) < 0.4, rng.integers(len(GENRES), size=config.n_items), genre)
    era = rng.integers(len(ERAS), size=config.n_items)
    vectors = genre_vectors[genre] + 0.5 * genre_vectors[second] + 0.6 * era_vectors[era]
    vectors = _unit(vectors + 0.3 * rng.normal(size=vectors.shape)).astype(np.float32)
    popularity = rng.normal(size=config.n_items).astype(np.float32)
    years = np.array(ERAS)[era] + rng.integers(0, 15, size=config.n_items)
    words = rng.integers(0, 1 << 30, size=(config.n_items, 2))
    titles, seen = [], {}
    for item in range(config.n_items):
        firsts = _FIRST_WORDS[GENRES[genre[item]]]
        title = f"The {firsts[words[item, 0] % len(firsts)]} {_LAST_WORDS[words[item, 1] % len(_LAST_WORDS)]}"
        seen[title] = seen.get(title, 0) + 1
        titles.append(title if seen[title] == 1 else f"{title} {seen[title]}")
    genres = [GENRES[a] if a == b else f"{GENRES[a]}|{GENRES[b]}" for a, b in zip(genre, second, strict=True)]
    return pd.DataFrame({"title": titles, "genres": genres, "year": years}), vectors, popularity


def _affinity(config: SyntheticConfig, rng: np.random.Generator, item_vectors: np.ndarray) -> Planted:
    n_tastes = rng.integers(1, MAX_TASTES + 1, size=config.n_users)
    anchors = item_vectors[rng.integers(config.n_items, size=(config.n_users, MAX_TASTES))]
    tastes = _unit(anchors + 0.2 * rng.normal(size=anchors.shape)).astype(np.float32)  # (n_users, MAX_TASTES, LATENT_DIM)
    has = np.arange(MAX_TASTES)[None, :] < n_tastes[:, None]
    mean_taste = _unit((tastes * has[:, :, None]).sum(axis=1)).astype(np.float32)
    linear = _standard(mean_taste @ item_vectors.T)
    best = np.full(linear.shape, -np.inf, dtype=np.float32)
    for taste in range(MAX_TASTES):
        fits = tastes[:, taste] @ item_vectors.T
        np.maximum(best, np.where(has[:, taste, None], fits, -np.inf), out=best)
    best = _standard(best)
    # What is left of the best-of-tastes after its linear part: the two parts are uncorrelated, so shares of variance add up.
    nonlinear = _standard(best - float((best * linear).mean()) * linear)
    share = config.nonlinear_share
    affinity = np.sqrt(1 - share) * linear + np.sqrt(share) * nonlinear
    return Planted(affinity.astype(np.float32), linear, nonlinear, item_vectors)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _standard(matrix: np.ndarray) -> np.ndarray:
    return ((matrix - matrix.mean()) / matrix.std()).astype(np.float32)
