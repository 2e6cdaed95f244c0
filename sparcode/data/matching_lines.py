"""Lines of a text file by a pattern, with broken ones counted."""

from __future__ import annotations

import re

MAX_MALFORMED_SHARE = 0.01


def matching_lines(raw: bytes, pattern: re.Pattern[bytes], member: str, dropped: dict[str, int]) -> list[re.Match[bytes]]:
    """Matches of every line of a file; lines that do not match are left out and counted.

    Parameters
    ----------
    raw
        The file.
    pattern
        What a whole line must match.
    member
        Name of the file, for messages.
    dropped
        Counts go here.

    Raises
    ------
    ValueError
        If more than 1% of the lines do not match.
    """
    matches, n_lines, n_bad, first_bad = [], 0, 0, 0
    for number, line in enumerate(raw.split(b"\n"), start=1):
        text = line.rstrip(b"\r")
        if not text:
            continue
        n_lines += 1
        if match := pattern.fullmatch(text):
            matches.append(match)
        else:
            n_bad += 1
            first_bad = first_bad or number
    if n_bad > MAX_MALFORMED_SHARE * n_lines:
        share = f"{MAX_MALFORMED_SHARE:.0%}"
        raise ValueError(f"{member}: {n_bad:,} of {n_lines:,} lines are malformed (at most {share} may be), the first at line {first_bad}")
    if n_bad:
        dropped[f"malformed lines in {member}"] = n_bad
    return matches
