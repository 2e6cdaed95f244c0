from __future__ import annotations

import io
import sys

import pytest

from sparcode.commands.terminal import one_line, plain, say, short_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b2J", "\\x9b2J"),
        ("over\rwritten\x08", "over\\rwritten\\x08"),
        ("a\u202eb\u2066c\u2028d", "a\\u202eb\\u2066c\\u2028d"),
        ("\udc80", "\\udc80"),
        ("Am\u00e9lie \u5343\u3068 \U0001f600 \u05d0", "Am\u00e9lie \u5343\u3068 \U0001f600 \u05d0"),
        ("two\n\tlines", "two\n\tlines"),
    ],
)
def test_nothing_that_a_terminal_would_act_on_is_left(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_texts_of_one_line_have_no_other() -> None:
    assert one_line("two\n\tlines") == "two\\n\\tlines"


def test_a_message_is_one_line_without_endless_words() -> None:
    assert short_line("a\n b \x1b") == "a b \\x1b"
    assert short_line("9" * 300) == "9" * 300
    assert short_line("9" * 5000) == "9" * 100 + "... (5,000 characters)"


def test_a_terminal_that_lacks_a_character_gets_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    say("Am\u00e9lie")
    sys.stdout.flush()
    assert shown.getvalue() == b"Am\\xe9lie\n"
