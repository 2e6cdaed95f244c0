"""What the commands print for people: texts of data and file names without anything a terminal would act on."""

from __future__ import annotations

import logging
import re
import sys

import typer

# Control characters but tab and line feed, signs that reverse the direction of text, line separators and halves of characters.
_ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BREAKING = re.compile("[\t\n]")
# Longer words are cut, such as a number of thousands of digits.
_LONGEST_WORD = 300
_LONG_WORD = re.compile(rf"\S{{{_LONGEST_WORD + 1},}}")


def plain(text: str) -> str:
    """Text with an escape such as is written in Python in place of each character that a terminal would act on."""
    return _ACTING.sub(_escape, text)


def one_line(text: str) -> str:
    """`plain`, with tabs and line feeds escaped too."""
    return _BREAKING.sub(_escape, plain(text))


def short_line(message: str) -> str:
    """A message in one plain line, without words of more than 300 characters."""
    line = plain(" ".join(message.split()))
    return _LONG_WORD.sub(lambda word: f"{word[0][: _LONGEST_WORD // 3]}... ({len(word[0]):,} characters)", line)


def say(text: str, err: bool = False) -> None:
    """Print plain text to standard output, or to standard error; what the stream's encoding lacks becomes an escape."""
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    typer.echo(plain(text).encode(encoding, "backslashreplace").decode(encoding), err=err)


class PlainFormatter(logging.Formatter):
    """Log records as plain lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's message, see `plain`."""
        return plain(super().format(record))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
