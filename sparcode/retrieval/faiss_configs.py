"""Settings of the faiss indexes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sparcode.config import Config

_N_LISTS = Field(0, ge=0, le=1_000_000, description="Coarse cells; 0 takes the square root of the catalogue.")
_N_PROBE = Field(16, ge=1, le=1_000_000, description="Cells visited per query.")
_SEED = Field(0, ge=0, le=2**31 - 1, description="Seed of the clustering.")


class FlatConfig(Config):
    """Every inner product, no approximation."""


class HNSWConfig(Config):
    """A graph of near neighbours (Malkov and Yashunin, arXiv 1603.09320).

    Over raw inner products few items of a large catalogue with uneven norms are ever linked to. One more dimension, ``sqrt(max |v|^2 -
    |v|^2)`` for items and 0 for queries, makes the largest inner product the least distance (Bachrach et al., RecSys 2014).
    """

    n_links: int = Field(32, ge=2, le=256, description="Links per item and layer; more is more exact and larger.")
    ef_construction: int = Field(200, ge=1, le=10_000, description="Candidates looked at per item while building.")
    ef_search: int = Field(128, ge=1, le=100_000, description="Candidates looked at per query; at least as many as are asked for.")
    reduction: Literal["l2", "none"] = Field(
        "l2", description="What neighbours are near by: l2 (distance, with one dimension more) or none (the inner product itself)."
    )
    exclude: Literal["ask_more", "selector"] = Field(
        "ask_more",
        description="Items a query has seen: ask_more (that many more are asked for, ef_search rises with them) or selector (passed over).",
    )


class IVFFlatConfig(Config):
    """Inverted lists of whole vectors (Jegou, Douze and Schmid, 2011, without their compression)."""

    n_lists: int = _N_LISTS
    n_probe: int = _N_PROBE
    seed: int = _SEED


class IVFPQConfig(Config):
    """Inverted lists of product-quantized vectors (Jegou, Douze and Schmid, 2011)."""

    n_lists: int = _N_LISTS
    n_subvectors: int = Field(
        0, ge=0, le=4096, description="Parts of a vector, a divisor of its dimensions; 0 takes two dimensions per part."
    )
    n_bits: int = Field(0, ge=0, le=12, description="Bits per part; 0 takes 8, or fewer where the catalogue is smaller than 256.")
    n_probe: int = _N_PROBE
    k_factor: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        description="Re-ranking: so many times as many are found by codes, then ordered by whole vectors, which are kept too; 0: none.",
    )
    seed: int = _SEED


FAISS_CONFIGS: dict[str, type[Config]] = {"flat": FlatConfig, "hnsw": HNSWConfig, "ivfflat": IVFFlatConfig, "ivfpq": IVFPQConfig}
