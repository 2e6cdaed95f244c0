"""A cache of figures as JSON: a page that polls twice a second mostly draws the same figures again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np
import plotly.graph_objects as go

from app.jobs.byte_cache import ByteCache

Data = TypeVar("Data", bound=tuple)

_kept: Final[ByteCache[str]] = ByteCache(32 * 2**20, len)


def figure_json(make: Callable[[Data, bool], go.Figure], data: Data, dark: bool) -> str:
    """The figure of some data as JSON, cached by the content of its arguments; `make` must depend on nothing else.

    TypeError if the data is anything but a tuple of numbers, texts, arrays, None and such tuples: other content could change unseen.
    """
    content = hashlib.sha256()
    _add(data, content)
    key = (make.__module__, make.__qualname__, dark, content.digest())
    text = _kept.get(key)
    if text is None:
        text = make(data, dark).to_json()
        _kept.put(key, text)
    return text


def _add(value: Any, content: hashlib._Hash) -> None:
    """Put a value into the hash, with its kind and length, so that different contents stay distinct."""
    if isinstance(value, np.ndarray):
        content.update(f"array {value.dtype.str} {value.shape} ".encode())
        content.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, tuple):
        content.update(f"tuple {len(value)} ".encode())
        for part in value:
            _add(part, content)
    elif value is None or isinstance(value, str | int | float | np.generic):
        text = repr(value)
        content.update(f"{type(value).__name__} {len(text)} {text} ".encode())
    else:
        raise TypeError(f"chart data may hold numbers, texts, arrays, None and tuples of them; got {type(value).__name__}")
