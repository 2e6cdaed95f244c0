from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sparcode.cli import app

# A catalogue and networks that train within a second, by flags.
TINY = (
    *("--synthetic-n-users", "120", "--synthetic-n-items", "80", "--synthetic-difficulty", "0.2"),
    *("--n-tokens", "3", "--token-dim", "8", "--hidden-dim", "16", "--interaction-dim", "5"),
    *("--n-codebooks", "2", "--codebook-size", "6", "--n-nearest", "4", "--epochs", "3", "--joint-epochs", "2", "--batch-size", "32"),
)
TINY_DATA = TINY[:6]
Command = Callable[..., Result]
Output = Callable[..., str]
Record = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def command() -> Command:
    """Runs a command line in this process."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def output(command: Command) -> Output:
    """Runs a command line that must succeed; gives its standard output."""

    def run(*arguments: object) -> str:
        result = command(*arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="session")
def record(output: Output) -> Record:
    """Runs a command line with ``--json`` that must succeed; gives the object it prints."""
    return lambda *arguments: json.loads(output(*arguments, "--json"))


@pytest.fixture(scope="session")
def kept_run(output: Output, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder made by `sparcode train`; not to be changed."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    output("train", *TINY, "--out", folder, "--quiet")
    return folder


@pytest.fixture(scope="session")
def refused(command: Command) -> Output:
    """Runs a command line that must be refused as bad input; gives its one line on standard error."""

    def run(*arguments: object) -> str:
        result = command(*arguments)
        assert result.exit_code == 2, (result.exit_code, result.output)
        assert result.stdout == ""
        lines = result.stderr.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

    return run
