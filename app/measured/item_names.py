"""Items by name: title and genres where they are known, else the item's number; texts of strangers made harmless."""

from __future__ import annotations

import html
import re
from typing import Final

import numpy as np

from sparcode.data.interactions import Interactions

_LONGEST: Final = 44
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~$:-])")


class ItemNames:
    """Names of a catalogue's items.

    Parameters
    ----------
    data
        Its titles and, where there are any, genres. A title that is the item's id alone reads "item ID".
    """

    def __init__(self, data: Interactions) -> None:
        titles = [str(title) for title in data.items["title"]]
        ids = [str(item_id) for item_id in data.item_ids]
        self.titles = [f"item {title}" if title == own else title for title, own in zip(titles, ids, strict=True)]
        self.genres = [str(text) for text in data.items["genres"]] if "genres" in data.items.columns else [""] * len(titles)
        self._searched = [f"{title} {genres} {own}".casefold() for title, genres, own in zip(self.titles, self.genres, ids, strict=True)]

    def __len__(self) -> int:
        return len(self.titles)

    def title(self, item: int) -> str:
        """The title, cut to a label's length."""
        title = " ".join(self.titles[item].split())
        return title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"

    def search(self, text: str, most: int) -> list[int]:
        """Items whose title, genres or id hold every word of a text, in catalogue order, at most so many; none for an empty text."""
        words = text.casefold().split()
        found: list[int] = []
        for item, searched in enumerate(self._searched if words else ()):
            if all(word in searched for word in words):
                found.append(item)
                if len(found) == most:
                    break
        return found

    def listed(self, items: np.ndarray) -> str:
        """Some items for Markdown, separated by commas."""
        return ", ".join(f"*{for_markdown(self.title(item))}*" for item in np.asarray(items).tolist())


def for_markdown(text: str) -> str:
    """A text whose Markdown has no effect."""
    return _MARKDOWN.sub(r"\\\1", text)


def for_chart(text: str) -> str:
    """A text whose tags have no effect in a Plotly chart."""
    return html.escape(text, quote=False)
