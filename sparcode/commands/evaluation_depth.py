"""How many items a command retrieves where nothing is said."""

from __future__ import annotations

from sparcode.config import SplitConfig

_DEPTHS = {"strong": 50, "fixed-split": 20, "cold-start": 50}
K_HELP = "Items retrieved per query (default 50; 20 with --protocol fixed-split, as its published tables have it)."


def default_k(config: SplitConfig) -> int:
    """K of the protocol: 50 as in the papers, 20 as in the tables of ready-made splits."""
    return _DEPTHS[config.protocol]
