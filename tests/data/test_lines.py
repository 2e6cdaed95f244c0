from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from sparcode.data.limits import OWN_FILES
from sparcode.data.lines import captured, joined, matching_lines, whole_numbers

PATTERN = r"(?P<number>\d{1,18})\|(?P<text>[^|]+)"
GOOD = [b"1|a", b"007|b\xff", b"999999999999999999|c d", b"3|e\r", b"4|\x00"]
BAD = [b"x|a", b"1", b"1|", b"1|a|b", b"1234567890123456789|a", b" 1|a", b"+1|a", "１|a".encode(), b"|", b"\r1|\r|"]
EMPTY = [b"", b"\r", b"\r\r"]


def cut(text: bytes, rng: np.random.Generator) -> Iterator[bytes]:
    while text:
        size = int(rng.integers(1, 90))
        yield text[:size]
        text = text[size:]


def told(blocks: Iterator[bytes]) -> tuple[list[bytes], str | None, dict[str, int]]:
    dropped: dict[str, int] = {}
    found: list[bytes] = []
    try:
        for lines in matching_lines(blocks, PATTERN, "file", OWN_FILES, dropped):
            numbers, texts = (captured(lines, PATTERN)[name] for name in ("number", "text"))
            found += [
                b"%d|%s" % (number, text.rstrip(b"\r")) for number, text in zip(whole_numbers(numbers), texts.to_pylist(), strict=True)
            ]
            assert joined(lines).count(b"\n") == len(lines)
    except ValueError as error:
        return found, str(error), dropped
    return found, None, dropped


def plainly(text: bytes) -> tuple[list[bytes], str | None, dict[str, int]]:
    """One line at a time, as it was done before."""
    found, n_lines, bad = [], 0, []
    for number, line in enumerate(text.split(b"\n"), start=1):
        if not (stripped := line.rstrip(b"\r")):
            continue
        n_lines += 1
        if match := re.fullmatch(PATTERN.encode(), stripped):
            found.append(b"%d|%s" % (int(match[1]), match[2]))
        else:
            bad.append(number)
    if len(bad) > 0.01 * n_lines:
        first = f"the first at line {bad[0]}"
        return found, f"file: {len(bad)} of {n_lines} lines are malformed (at most 1% may be), {first}", {}
    return found, None, {"malformed lines in file": len(bad)} if bad else {}


@pytest.mark.parametrize("seed", range(40))
def test_blocks_of_lines_are_read_as_line_by_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = [0.98, 0.004, 0.016] if seed % 2 else [0.7, 0.1, 0.2]
    lines: list[bytes] = []
    for kind in rng.choice(3, size=int(rng.integers(0, 300)), p=shares):
        choices = (GOOD, BAD, EMPTY)[kind]
        lines.append(choices[rng.integers(len(choices))])
    text = b"\n".join(lines) + b"\n" * int(rng.integers(2))
    assert told(cut(text, rng)) == plainly(text)
