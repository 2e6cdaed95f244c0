from __future__ import annotations

import errno
from pathlib import Path

import pytest

from app.session.error_words import LONGEST, error_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/home/ann/runs/mine"), "Permission denied: mine"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("/home/ann/runs/mine is a symbolic link to /srv/data/mine; name that"), "mine is a symbolic link to mine; name that"),
        (ValueError("'/srv/x/run.json' is damaged"), "'run.json' is damaged"),
        (OSError("could not download X from https://host/a/b.zip: refused"), "could not download X from https://host/a/b.zip: refused"),
        (ValueError("must be 1/2 or and/or"), "must be 1/2 or and/or"),
        (ValueError("x" * 2 * LONGEST), "x" * LONGEST),
    ],
)
def test_an_error_is_told_without_the_folders_of_the_server(error: Exception, words: str) -> None:
    assert error_words(error) == words


def test_a_folder_with_blanks_is_known() -> None:
    assert error_words(ValueError("/home/my runs/mine exists"), Path("/home/my runs")) == "mine exists"
