"""What a report holds and what an entry is of, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.report.entry import Entry, Source


def contents_line(entries: Sequence[Entry]) -> str:
    """What the entries are, such as "3 charts and 1 table of the run films"; empty without any."""
    if not entries:
        return ""
    counts = Counter(entry.kind for entry in entries)
    plural = {"chart": "charts", "row of figures": "rows of figures", "table": "tables"}
    parts = [f"{counts[kind]} {kind if counts[kind] == 1 else many}" for kind, many in plural.items() if counts[kind]]
    said = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    subjects = list(dict.fromkeys(_subject(entry.source) for entry in entries))
    return f"{said} of {subjects[0] if len(subjects) == 1 else f'{len(subjects)} data sets or runs'}"


def origin_lines(entry: Entry) -> list[tuple[str, str]]:
    """Name and text of all that an entry's figures depend on; what is not known is left out."""
    source = entry.source
    known = [
        ("Data", source.data),
        ("Run", source.run),
        ("Model", source.called),
        ("Settings", source.setting),
        ("Seed", str(source.seed) if source.config else ""),
        ("Machine", source.machine),
        ("Date", f"{entry.day.replace('T', ' ')} UTC"),
        ("Page", source.page),
    ]
    return [(name, text) for name, text in known if text]


def origin_line(entry: Entry) -> str:
    """The same in one line."""
    return ". ".join(f"{name}: {text}" for name, text in origin_lines(entry)) + "."


def _subject(source: Source) -> str:
    if source.run:
        return f"the run {source.run}"
    return source.data.partition(":")[0].partition(", made up")[0] or "the studio"
