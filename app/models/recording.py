"""When and where something was recorded that is shown elsewhere or later."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple


class Recording(NamedTuple):
    """Date and machine of what was trained or measured before the studio was started.

    Attributes
    ----------
    day
        Date, as ``YYYY-MM-DD``.
    machine
        Where, in words; see `sparcode.runs.machine.machine_facts`.
    """

    day: str
    machine: str

    @property
    def day_words(self) -> str:
        """The date as people read it."""
        when = date.fromisoformat(self.day)
        return f"on {when.day} {when:%B %Y}"

    @property
    def words(self) -> str:
        """Date and machine as people read them."""
        return f"{self.day_words} ({self.machine})"
