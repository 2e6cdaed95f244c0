"""Text of strangers (addresses, file names) on a page that renders Markdown."""

from __future__ import annotations

import re
from typing import Final

_UNSAFE: Final = re.compile(r"[^\w ,.+()-]|_")
_LONGEST: Final = 60


def plain_text(text: str) -> str:
    """The text's first 60 characters, with a question mark for everything that could mean something in Markdown or HTML.

    Parameters
    ----------
    text
        Anything.
    """
    return _UNSAFE.sub("?", text)[:_LONGEST]
