"""Times of interactions in words, whatever unit the data has them in."""

from __future__ import annotations

import datetime
import re

import pandas as pd

# Years of dates written as one number, YYYYMMDD or YYYYMMDDhhmm or YYYYMMDDhhmmss.
_DATE = re.compile(r"((?:19|20)\d\d)(\d\d)(\d\d)(?:([01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?)?")
# Number of digits before the point -> unit of a time since 1970, for dates from 1973 to 2286.
_UNITS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}


def time_words(time: object) -> str:
    """A time stamp, or a number that is likely one or a date by its digits, as a date (UTC); any other number with all its digits."""
    if isinstance(time, pd.Timestamp):
        return time.date().isoformat()
    number = float(time)
    if not number.is_integer():
        return repr(number)
    # Not by way of a float, which has fewer digits than a time in nanoseconds.
    whole = int(time)
    digits = str(whole)
    return _written_date(digits) or _counted_date(whole, _UNITS.get(len(digits))) or digits


def _written_date(digits: str) -> str:
    found = _DATE.fullmatch(digits)
    try:
        return "" if found is None else datetime.date(int(found[1]), int(found[2]), int(found[3])).isoformat()
    except ValueError:
        return ""


def _counted_date(number: int, unit: str | None) -> str:
    try:
        return "" if unit is None or number < 0 else pd.Timestamp(number, unit=unit).date().isoformat()
    except (pd.errors.OutOfBoundsDatetime, OverflowError):
        return ""
