"""What MovieLens 100K and 1M tell of their users: gender, age group and occupation; zip codes are left alone."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from sparcode.data.matching_lines import matching_lines

# The age groups of MovieLens 1M, each named by its youngest age (1: under 18); the ages of 100K are put into the same ones.
AGE_GROUPS = (1, 18, 25, 35, 45, 50, 56)


def parse_users_100k(raw: bytes, dropped: dict[str, int]) -> pd.DataFrame:
    """Users of ``u.user`` (``id|age|gender|occupation|zip code``).

    Parameters
    ----------
    raw
        The file.
    dropped
        Malformed lines are counted here.

    Returns
    -------
    pd.DataFrame
        ``user_id`` and the texts ``gender``, ``age`` (group) and ``occupation``.

    Raises
    ------
    ValueError
        If more than 1% of the lines are malformed.
    """
    pattern = re.compile(rb"(\d{1,18})\|(\d{1,3})\|([A-Z])\|([^|]+)\|[^|]*")
    rows = []
    for match in matching_lines(raw, pattern, "u.user", dropped):
        group = AGE_GROUPS[max(0, int(np.searchsorted(AGE_GROUPS, int(match[2]), side="right")) - 1)]
        rows.append((int(match[1]), match[3].decode("ascii"), str(group), match[4].decode("latin-1").strip()))
    return _frame(rows)


def parse_users_1m(raw: bytes, dropped: dict[str, int]) -> pd.DataFrame:
    """Users of ``users.dat`` (``id::gender::age group::occupation::zip code``); otherwise as `parse_users_100k`."""
    pattern = re.compile(rb"(\d{1,18})::([A-Z])::(\d{1,3})::(\d{1,3})::.*")
    return _frame(
        [
            (int(match[1]), match[2].decode("ascii"), str(int(match[3])), str(int(match[4])))
            for match in matching_lines(raw, pattern, "users.dat", dropped)
        ]
    )


def _frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "gender", "age", "occupation"])
