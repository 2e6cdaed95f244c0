"""The reports of all visitors, each their own: entries in the order they will be read, bounded in number and bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from app.report.entry import LONGEST_TITLE, Entry, with_words

MOST_ENTRIES: Final = 40
REPORT_BYTES: Final = 24 * 2**20
# Of all visitors together; the report that was changed longest ago is dropped first.
MOST_REPORTS: Final = 200
ALL_BYTES: Final = 192 * 2**20
TITLE: Final = "SparCode Studio: report"


@dataclass(frozen=True)
class Report:
    """One visitor's report as it is at a moment."""

    entries: tuple[Entry, ...] = ()
    title: str = TITLE

    @property
    def n_bytes(self) -> int:
        """Bytes that its entries count for."""
        return sum(entry.n_bytes for entry in self.entries)


@dataclass
class _Kept:
    report: Report = field(default_factory=Report)
    next_number: int = 1


class Reports:
    """The reports of one process by owner, see `app.session.visitor.owner_id`. Kept in memory alone. Safe to share between threads."""

    def __init__(self, most_entries: int = MOST_ENTRIES, report_bytes: int = REPORT_BYTES, all_bytes: int = ALL_BYTES) -> None:
        self._most_entries, self._report_bytes, self._all_bytes = most_entries, report_bytes, all_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, owner: str) -> Report:
        """The owner's report; an empty one where there is none."""
        with self._lock:
            kept = self._kept.get(owner)
            return Report() if kept is None else kept.report

    def add(self, owner: str, entry: Entry) -> Report:
        """Put an entry at the end; ValueError, which says what to do, if the report is full."""
        with self._lock:
            kept = self._kept.get(owner) or _Kept()
            entries = kept.report.entries
            if len(entries) >= self._most_entries:
                raise ValueError(f"the report has {len(entries)} entries, the most there may be: drop one on the page Report first")
            report = replace(kept.report, entries=(*entries, replace(entry, number=kept.next_number)))
            self._check(report)
            kept.next_number += 1
            return self._keep(owner, kept, report)

    def write(self, owner: str, number: int, title: str, note: str) -> Report:
        """Give an entry a title and a note."""
        return self._change(owner, number, lambda entry: with_words(entry, title, note))

    def rename(self, owner: str, title: str) -> Report:
        """Give the report a title; an empty one stands for the usual title."""
        written = "".join(filter(str.isprintable, title)).strip()[:LONGEST_TITLE]
        with self._lock:
            kept = self._kept.get(owner)
            return Report() if kept is None else self._keep(owner, kept, replace(kept.report, title=written or TITLE))

    def draw(self, owner: str, number: int, picture: bytes, drawing: bytes) -> Report:
        """Give a chart its picture and drawing, see `app.report.picture`; ValueError if the report has no room for them."""
        return self._change(owner, number, lambda entry: replace(entry, picture=picture, drawing=drawing))

    def move(self, owner: str, number: int, by: int) -> Report:
        """Move an entry down by as many places, up for a negative number; it stops at the ends."""
        with self._lock:
            kept = self._kept.get(owner)
            if kept is None:
                return Report()
            entries = list(kept.report.entries)
            at = next((place for place, entry in enumerate(entries) if entry.number == number), None)
            if at is None:
                return kept.report
            moved = entries.pop(at)
            entries.insert(min(max(0, at + by), len(entries)), moved)
            return self._keep(owner, kept, replace(kept.report, entries=tuple(entries)))

    def drop(self, owner: str, number: int) -> Report:
        """Remove an entry, if it is there."""
        with self._lock:
            kept = self._kept.get(owner)
            if kept is None:
                return Report()
            left = tuple(entry for entry in kept.report.entries if entry.number != number)
            return self._keep(owner, kept, replace(kept.report, entries=left))

    def clear(self, owner: str) -> None:
        """Remove the whole report."""
        with self._lock:
            self._kept.pop(owner, None)

    def _change(self, owner: str, number: int, change: Callable[[Entry], Entry]) -> Report:
        with self._lock:
            kept = self._kept.get(owner)
            if kept is None:
                return Report()
            entries = tuple(change(entry) if entry.number == number else entry for entry in kept.report.entries)
            report = replace(kept.report, entries=entries)
            self._check(report)
            return self._keep(owner, kept, report)

    def _check(self, report: Report) -> None:
        if report.n_bytes > self._report_bytes:
            raise ValueError(
                f"the report would have {report.n_bytes / 1e6:.1f} MB; it may have {self._report_bytes / 1e6:.1f} MB: drop an entry on the "
                "page Report first"
            )

    def _keep(self, owner: str, kept: _Kept, report: Report) -> Report:
        kept.report = report
        self._kept[owner] = kept
        self._kept.move_to_end(owner)
        while len(self._kept) > 1 and (len(self._kept) > MOST_REPORTS or self._n_bytes() > self._all_bytes):
            self._kept.popitem(last=False)
        return report

    def _n_bytes(self) -> int:
        return sum(kept.report.n_bytes for kept in self._kept.values())
