"""Lines of a text file, block by block: those that match a pattern are kept, the others counted; compiled code looks at each line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparcode.data.limits import Limits

MAX_MALFORMED_SHARE = 0.01
_LINE_END = r"\r*\n"


def matching_lines(blocks: Iterable[bytes], pattern: str, label: str, limits: Limits, dropped: dict[str, int]) -> Iterator[pa.BinaryArray]:
    """Lines that match a pattern (RE2, of bytes) up to their line end, which they keep; empty lines are passed over.

    Other lines are counted in `dropped`; after the last block a ValueError where they are more than 1%, at once where a line or their
    number is beyond `limits`.
    """
    n_read = n_rows = n_bad = first_bad = 0
    for lines in _lines(blocks, label, limits):
        good = pc.match_substring_regex(lines, f"^(?:{pattern}){_LINE_END}$")
        n_rows += len(lines)
        kept = lines
        if good.true_count < len(lines):
            empty = pc.match_substring_regex(lines, f"^{_LINE_END}$")
            bad = pc.invert(pc.or_(good, empty))
            first_bad = first_bad or (n_read + 1 + pc.index(bad, True).as_py() if bad.true_count else 0)
            n_bad += bad.true_count
            n_rows -= empty.true_count
            kept = lines.filter(good)
        n_read += len(lines)
        limits.check(label, or_more=True, rows=n_rows)
        if len(kept):
            yield kept
    if n_bad > MAX_MALFORMED_SHARE * n_rows:
        share = f"{MAX_MALFORMED_SHARE:.0%}"
        raise ValueError(f"{label}: {n_bad:,} of {n_rows:,} lines are malformed (at most {share} may be), the first at line {first_bad}")
    if n_bad:
        dropped[f"malformed lines in {label}"] = n_bad


def captured(lines: pa.BinaryArray, pattern: str) -> dict[str, pa.BinaryArray]:
    """What the named groups of the pattern hold in each of the lines it matched."""
    found = pc.extract_regex(lines, f"^(?:{pattern}){_LINE_END}$")
    return {field.name: found.field(place) for place, field in enumerate(found.type)}


def joined(lines: pa.BinaryArray) -> bytes:
    """The lines as one text."""
    offsets = np.frombuffer(lines.buffers()[1], dtype=np.int32)[lines.offset :][: len(lines) + 1]
    return lines.buffers()[2][int(offsets[0]) : int(offsets[-1])].to_pybytes()


def whole_numbers(texts: pa.BinaryArray) -> np.ndarray:
    """(n,) int64 of texts of at most 18 digits."""
    return pc.cast(pc.cast(texts, pa.string()), pa.int64()).to_numpy(zero_copy_only=False)


def _lines(blocks: Iterable[bytes], label: str, limits: Limits) -> Iterator[pa.BinaryArray]:
    """Whole lines of each block, with their line ends."""
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block
            limits.check(label, or_more=True, cell_bytes=len(rest))
            continue
        yield _cut(rest + block[:end], label, limits)
        rest = block[end:]
    if rest:
        yield _cut(rest + b"\n", label, limits)


def _cut(text: bytes, label: str, limits: Limits) -> pa.BinaryArray:
    ends = np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n")) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    limits.check(label, cell_bytes=int(np.diff(offsets).max()) - 1)
    return pa.Array.from_buffers(pa.binary(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
