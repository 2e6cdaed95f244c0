"""Packages that only some commands need, and that not everybody installs."""

from __future__ import annotations

import importlib.util


def need(extra: str, *packages: str) -> None:
    """ValueError, with how to install them, if one of the packages of an extra is not installed."""
    if missing := [name for name in packages if importlib.util.find_spec(name) is None]:
        raise ValueError(f"this needs the package {missing[0]}, which is not installed here: pip install 'sparcode[{extra}]'")
