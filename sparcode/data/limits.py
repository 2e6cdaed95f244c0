"""How much of a file is read: bounds on its bytes, rows, columns and cells, stated here once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_COUNTED = {
    "file_bytes": "bytes",
    "unpacked_bytes": "bytes once unpacked",
    "rows": "rows",
    "columns": "columns",
    "cell_bytes": "bytes in one cell or line",
}
_SHOWN_CHARACTERS = 80
_SHOWN_NAMES = 20


class BeyondLimit(ValueError):
    """A file has more of something than is read."""


@dataclass(frozen=True)
class Limits:
    """Bounds that a loader keeps for each file.

    Attributes
    ----------
    file_bytes
        Of a table as it is stored.
    unpacked_bytes
        Of a member of an archive, or of the columns read of a Parquet file.
    rows, columns, cell_bytes
        Of a table; `cell_bytes` also bounds the lines of MovieLens files.
    """

    file_bytes: int
    unpacked_bytes: int
    rows: int
    columns: int
    cell_bytes: int

    def check(self, label: str, or_more: bool = False, **found: int) -> None:
        """Raise BeyondLimit, with limit and value, if one of the figures `found` is above the bound of its name.

        `or_more` says that counting ended there.
        """
        for name, value in found.items():
            if value > (most := getattr(self, name)):
                raise BeyondLimit(f"{label} has {value:,}{' or more' if or_more else ''} {_COUNTED[name]}; at most {most:,} are read")


# The user's own files: what the formats and 64-bit indices allow, so that a slip is caught before memory runs out.
OWN_FILES = Limits(file_bytes=2**30, unpacked_bytes=4 * 2**30, rows=2**31 - 1, columns=100_000, cell_bytes=16 * 2**20)
# Files of strangers, sent to a studio that serves others at the same time.
UPLOADS = Limits(file_bytes=40 * 2**20, unpacked_bytes=128 * 2**20, rows=5_000_000, columns=1_000, cell_bytes=64 * 2**10)

# Files that whoever runs a studio has put into a folder for its visitors; MovieLens 10M is one of them.
FOLDER_FILES = Limits(file_bytes=512 * 2**20, unpacked_bytes=2**30, rows=12_000_000, columns=1_000, cell_bytes=64 * 2**10)


@contextmanager
def as_value_error(problem: str) -> Iterator[None]:
    """Make a ValueError of any error that libraries raise on damaged content."""
    try:
        yield
    except BeyondLimit:
        raise
    except MemoryError as error:
        raise ValueError(f"{problem}: it takes more memory than there is") from error
    except Exception as error:
        said = str(error).splitlines()[:1] or [type(error).__name__]
        raise ValueError(f"{problem}: {said[0]:.300}") from error


def shown(value: object) -> str:
    """A value for a message, cut to a readable length."""
    text = repr(value[:_SHOWN_CHARACTERS]) if isinstance(value, str) else repr(value)[:_SHOWN_CHARACTERS]
    return f"{text}..." if isinstance(value, str) and len(value) > _SHOWN_CHARACTERS else text


def shown_names(names: Sequence[str]) -> str:
    """Names of columns for a message, the first ones of many."""
    first = ", ".join(map(shown, names[:_SHOWN_NAMES]))
    return f"[{first}]" if len(names) <= _SHOWN_NAMES else f"[{first} and {len(names) - _SHOWN_NAMES:,} more]"
