"""How a pinned run is drawn behind the one at hand: grey, dashed, hollow."""

from __future__ import annotations

from typing import Any, Final

from app.theme import series_style

PINNED: Final = "pinned"


def ghost_line(dark: bool) -> dict[str, Any]:
    """Line of a pinned run."""
    return {"color": series_style(9, dark)["line"]["color"], "dash": "4px,3px", "width": 2.5}


def ghost_marker(dark: bool, symbol: str = "diamond-open") -> dict[str, Any]:
    """Marker of a pinned run's point."""
    return {"color": series_style(9, dark)["line"]["color"], "symbol": symbol, "size": 14, "line": {"width": 2.5}}
