"""Times of interactions in words, whatever unit the data has them in."""

from __future__ import annotations

import pandas as pd

# Number of digits before the point -> unit of a time since 1970, for dates from 1973 to 2286.
_UNITS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}


def time_words(time: object) -> str:
    """A time stamp, or a number that is likely one by its digits, as a date (UTC); any other number as it is."""
    if isinstance(time, pd.Timestamp):
        return time.date().isoformat()
    number = float(time)
    unit = _UNITS.get(len(str(abs(int(number)))))
    return f"{number:g}" if unit is None or number < 0 else pd.Timestamp(int(number), unit=unit).date().isoformat()
