"""Which data figures come from, in a form that is kept; without numpy and torch, which take seconds to import."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DataFacts:
    """Which data a run was made from.

    Attributes
    ----------
    name, content_hash
        Shown name, and hash of the histories, or of all parts of a ready-made split.
    synthetic
        Whether the project generated it.
    parts
        Part of a ready-made split -> hash of its content; empty for other data.
    """

    name: str
    content_hash: str
    synthetic: bool
    n_users: int
    n_items: int
    n_interactions: int
    parts: dict[str, str] = field(default_factory=dict)
