"""The codes that a visitor selected, for one model and way to look at its codes; they are part of the address."""

from __future__ import annotations

import re
from typing import Final

import streamlit as st

from app.components.point_map import Pick
from app.session.address import plain_text, went_back_or_forward, write_parameter
from sparcode.space.units import CodeUnits

# In the address: numbers of the selected codes, separated by dots.
CODES: Final = "codes"
MOST_SELECTED: Final = 64
_SELECTED: Final = "space_selected"
_READ: Final = "space_codes_read"
_REFUSED: Final = "space_codes_refused"
_DIGITS: Final = 12
_WORD: Final = re.compile(r"\d+(?:[·.]\d+)*")


class Selection:
    """The selected units of one view, oldest first; changes are for callbacks, which run before the page."""

    def __init__(self, scope: str, units: CodeUnits) -> None:
        self._units = units
        self._key = f"{_SELECTED}/{scope}/{'-'.join(map(str, units))}"
        if _asked_anew():
            chosen, refused = _read(st.query_params.get(CODES, ""))
            st.session_state[self._key], st.session_state[_REFUSED] = chosen, refused
        st.session_state.setdefault(self._key, [])

    @property
    def all(self) -> list[int]:
        """What is selected, also what nobody carries."""
        return st.session_state[self._key]

    def pick(self, pick: Pick) -> None:
        """Take what was picked in a chart: a click adds a code or takes it away, a lasso replaces or adds."""
        if pick.how == "toggle":
            (unit,) = pick.units[:1] or (None,)
            kept = [one for one in self.all if one != unit]
            self._set(kept if len(kept) < len(self.all) else [*kept, *([] if unit is None else [unit])])
        else:
            self._set([*(self.all if pick.how == "add" else []), *pick.units])

    def toggle(self, unit: int) -> None:
        """As a click on a code."""
        self.pick(Pick((unit,), "toggle"))

    def replace(self, units: list[int]) -> None:
        """Select exactly these."""
        self._set(units)

    def clear(self) -> None:
        """Select nothing."""
        self._set([])

    def write(self) -> None:
        """Put it into the address."""
        write_parameter(CODES, ".".join(map(str, self.all)))

    def warning(self, in_use: set[int]) -> str:
        """What of the selection cannot be shown, in words; else nothing."""
        absent = [unit for unit in self.all if unit not in in_use]
        said = []
        if refused := st.session_state.get(_REFUSED, ""):
            said.append(f"The address asks for codes = {plain_text(refused)}, which are not numbers of codes separated by dots.")
        if absent:
            names = (
                ", ".join(map(self._units.name, absent[:6])) if max(absent) < self._units.n_possible else ", ".join(map(str, absent[:6]))
            )
            said.append(
                f"No token takes code {names}: it is left out. {len(in_use):,} of {self._units.n_possible:,} possible codes are in use."
            )
        return " ".join(said)

    def _set(self, units: list[int]) -> None:
        st.session_state[self._key] = list(dict.fromkeys(units))[:MOST_SELECTED]
        st.session_state[_REFUSED] = ""


def read_words(text: str, units: CodeUnits) -> tuple[list[int], list[str]]:
    """Units of a text, like ``3, 17`` or, for whole codes of several codebooks, ``4·9``; and its words that are none."""
    found, refused = [], []
    for word in re.split(r"[\s,;]+", text.strip()):
        if not word:
            continue
        parts = [int(part) for part in re.split(r"[·.]", word)] if _WORD.fullmatch(word) and len(word) <= 4 * _DIGITS else []
        size = units.codebook_size
        if len(parts) > 1 and units.of_book is None and len(parts) == units.n_codebooks and max(parts) < size:
            found.append(sum(part * size**book for book, part in enumerate(parts)))
        elif len(parts) == 1 and parts[0] < units.n_possible and (units.of_book is not None):
            found.append(parts[0])
        else:
            refused.append(word)
    return found, refused


def _asked_anew() -> bool:
    """Whether the address is to be read: at the first visit of the session, and after Back or Forward."""
    if st.session_state.get(_READ) and not went_back_or_forward():
        return False
    st.session_state[_READ] = True
    return True


def _read(text: str) -> tuple[list[int], str]:
    words = [word for word in text.split(".") if word]
    good = [word for word in words if word.isascii() and word.isdigit() and len(word) <= _DIGITS]
    return list(dict.fromkeys(map(int, good)))[:MOST_SELECTED], "" if len(good) == len(words) else text
